"""The tables, once for every SQL database."""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    literal_column,
    or_,
    text,
)

from fast_graph.backends.sql.types import FailureJson, Id, Json, JsonText, Moment, Serial
from fast_graph.model.lifecycle import RunStatus

metadata = MetaData()

assistants = Table(
    "fast_graph_assistants",
    metadata,
    Column("assistant_id", Id, primary_key=True),
    Column("graph_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("config", Json, nullable=False),
    Column("context", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("description", Text),
    Column("version", Integer, nullable=False),
)

assistant_versions = Table(
    "fast_graph_assistant_versions",
    metadata,
    *(Column(c.name, c.type, nullable=c.nullable, primary_key=c.primary_key) for c in assistants.c[:-1]),
    Column("version", Integer, primary_key=True),
)

threads = Table(
    "fast_graph_threads",
    metadata,
    Column("thread_id", Id, primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("state_updated_at", Moment, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("status", Id, nullable=False),
    Column("config", Json, nullable=False),
    Column("values", JsonText),
    Column("interrupts", Json),
    Column("error", FailureJson),
    Column("resting", Id, nullable=False),
    Column("touched", Boolean, nullable=False),
    # How many runs are pending or running. It is on the row because whoever waited for the row's lock sees the newest
    # number there, and would see an old one in a count of the runs.
    Column("inflight", Integer, nullable=False, server_default=text("0")),
    Column("hold", Id),
    Column("held_until", Moment),
)

runs = Table(
    "fast_graph_runs",
    metadata,
    # The order in which runs were admitted, which no two machines' clocks can disagree about.
    Column("place", Serial, primary_key=True),
    Column("run_id", Id, nullable=False, unique=True),
    Column("thread_id", Id, nullable=False),
    Column("assistant_id", Id, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("kwargs", LargeBinary, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("status", Id, nullable=False),
    Column("multitask_strategy", Id, nullable=False),
    Column("temporary", Boolean, nullable=False),
    Column("resumable", Boolean, nullable=False),
    Column("due_at", Moment),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer),
    Column("error", FailureJson),
    # Whose share of what is in flight it is. Empty, and in no index, while nobody counts.
    Column("caller", Id),
    Column("graph_id", Id),
    Column("token", Serial, nullable=False, server_default=text("0")),
    Column("worker", Id),
    Column("lease_until", Moment),
    Column("wish", Id),
    Column("superseded_by", Id),
)


def has_status(table: FromClause, status: RunStatus) -> ColumnElement[bool]:
    """The status as a part of the statement: of a parameter no planner could tell which index knows it."""
    return table.c.status == literal_column(f"'{status}'", Id)


PENDING, RUNNING = has_status(runs, "pending"), has_status(runs, "running")
IN_FLIGHT = or_(PENDING, RUNNING)


def _while(condition: ColumnElement[bool]) -> dict[str, Any]:
    """An index of the rows for which this holds."""
    return {"postgresql_where": condition, "sqlite_where": condition}


def _containment(name: str, column: Column[Any]) -> None:
    """An index for "contains"; only PostgreSQL has such."""
    ops = {column.name: "jsonb_path_ops"}
    Index(name, column, postgresql_using="gin", postgresql_ops=ops).ddl_if(dialect="postgresql")


Index("fast_graph_assistants_graph", assistants.c.graph_id)
Index("fast_graph_assistants_created", assistants.c.created_at, assistants.c.assistant_id)
_containment("fast_graph_assistants_metadata", assistants.c.metadata)
Index("fast_graph_threads_created", threads.c.created_at, threads.c.thread_id)
Index("fast_graph_threads_updated", threads.c.updated_at, threads.c.thread_id)
Index("fast_graph_threads_state_updated", threads.c.state_updated_at, threads.c.thread_id)
Index("fast_graph_threads_status", threads.c.status, threads.c.created_at)
_containment("fast_graph_threads_metadata", threads.c.metadata)
_containment("fast_graph_threads_values", threads.c["values"])
Index("fast_graph_runs_thread", runs.c.thread_id, runs.c.place)
Index("fast_graph_runs_in_flight", runs.c.thread_id, runs.c.place, **_while(IN_FLIGHT))
Index("fast_graph_runs_pending", runs.c.place, **_while(PENDING))
Index("fast_graph_runs_due", runs.c.due_at, **_while(PENDING & runs.c.due_at.is_not(None)))
Index("fast_graph_runs_of_caller", runs.c.caller, **_while(IN_FLIGHT & runs.c.caller.is_not(None)))
Index("fast_graph_runs_of_graph", runs.c.graph_id, **_while(IN_FLIGHT & runs.c.graph_id.is_not(None)))
Index("fast_graph_runs_leases", runs.c.lease_until, **_while(RUNNING))
# What the queue promises, and the database enforces: never two runs at once on a thread.
Index("fast_graph_runs_one_at_a_time", runs.c.thread_id, unique=True, **_while(RUNNING))
