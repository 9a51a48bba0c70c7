"""Assistants, threads and runs."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from fast_graph.backends.sql.types import FailureJson, Id, Json, JsonText, Moment, Serial

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables and their indexes."""
    _assistants()
    _threads()
    _runs()
    if op.get_bind().dialect.name == "postgresql":
        _containment_indexes()


def _assistants() -> None:
    op.create_table(
        "fast_graph_assistants",
        sa.Column("assistant_id", Id, primary_key=True),
        sa.Column("graph_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.Column("context", Json(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("fast_graph_assistants_created", "fast_graph_assistants", ["created_at", "assistant_id"])
    op.create_index("fast_graph_assistants_graph", "fast_graph_assistants", ["graph_id"])
    op.create_table(
        "fast_graph_assistant_versions",
        sa.Column("assistant_id", Id, primary_key=True),
        sa.Column("graph_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.Column("context", Json(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("version", sa.Integer(), primary_key=True),
    )


def _threads() -> None:
    op.create_table(
        "fast_graph_threads",
        sa.Column("thread_id", Id, primary_key=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("state_updated_at", Moment(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("status", Id, nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.Column("values", JsonText()),
        sa.Column("interrupts", Json()),
        sa.Column("error", FailureJson()),
        sa.Column("resting", Id, nullable=False),
        sa.Column("touched", sa.Boolean(), nullable=False),
        sa.Column("inflight", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("hold", Id),
        sa.Column("held_until", Moment()),
    )
    op.create_index("fast_graph_threads_created", "fast_graph_threads", ["created_at", "thread_id"])
    op.create_index("fast_graph_threads_state_updated", "fast_graph_threads", ["state_updated_at", "thread_id"])
    op.create_index("fast_graph_threads_status", "fast_graph_threads", ["status", "created_at"])
    op.create_index("fast_graph_threads_updated", "fast_graph_threads", ["updated_at", "thread_id"])


def _runs() -> None:
    op.create_table(
        "fast_graph_runs",
        sa.Column("place", Serial, primary_key=True),
        sa.Column("run_id", Id, nullable=False, unique=True),
        sa.Column("thread_id", Id, nullable=False),
        sa.Column("assistant_id", Id, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("kwargs", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", Json(), nullable=False),
        sa.Column("status", Id, nullable=False),
        sa.Column("multitask_strategy", Id, nullable=False),
        sa.Column("temporary", sa.Boolean(), nullable=False),
        sa.Column("resumable", sa.Boolean(), nullable=False),
        sa.Column("due_at", Moment()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer()),
        sa.Column("error", FailureJson()),
        sa.Column("token", Serial, nullable=False, server_default=sa.text("0")),
        sa.Column("worker", Id),
        sa.Column("lease_until", Moment()),
        sa.Column("wish", Id),
        sa.Column("superseded_by", Id),
    )
    op.create_index(
        "fast_graph_runs_due", "fast_graph_runs", ["due_at"], **_while("status = 'pending' AND due_at IS NOT NULL")
    )
    op.create_index(
        "fast_graph_runs_in_flight",
        "fast_graph_runs",
        ["thread_id", "place"],
        **_while("status = 'pending' OR status = 'running'"),
    )
    op.create_index("fast_graph_runs_leases", "fast_graph_runs", ["lease_until"], **_while("status = 'running'"))
    op.create_index(
        "fast_graph_runs_one_at_a_time", "fast_graph_runs", ["thread_id"], unique=True, **_while("status = 'running'")
    )
    op.create_index("fast_graph_runs_pending", "fast_graph_runs", ["place"], **_while("status = 'pending'"))
    op.create_index("fast_graph_runs_thread", "fast_graph_runs", ["thread_id", "place"])


def _while(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _containment_indexes() -> None:
    op.create_index(
        "fast_graph_assistants_metadata",
        "fast_graph_assistants",
        ["metadata"],
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    )
    op.create_index(
        "fast_graph_threads_metadata",
        "fast_graph_threads",
        ["metadata"],
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    )
    op.create_index(
        "fast_graph_threads_values",
        "fast_graph_threads",
        ["values"],
        postgresql_using="gin",
        postgresql_ops={"values": "jsonb_path_ops"},
    )
