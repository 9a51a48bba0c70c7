"""Runs in PostgreSQL: the usual creation in one statement, without SQLAlchemy's share."""

from functools import cache
from typing import Any

import asyncpg
from sqlalchemy import bindparam, insert, select, true, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from fast_graph.backends.postgres.direct import Direct, Prepared
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import RUNS, THREADS
from fast_graph.backends.sql.runs import SHARED_METADATA, SqlRuns
from fast_graph.backends.sql.tables import runs, threads
from fast_graph.backends.sql.types import Json as JsonColumn
from fast_graph.backends.sql.types import Moment
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, NotFoundError
from fast_graph.model.quota import UNLIMITED, Quota
from fast_graph.model.records import Created, Json, Run, Scope, Thread


class PostgresRuns(SqlRuns):
    """A run that displaces no other needs one round trip: the thread's row has all that decides."""

    def __init__(self, database: Database, direct: Direct, clock: Clock) -> None:
        super().__init__(database, clock)
        self._direct = direct

    async def create(
        self,
        run: Run,
        *,
        create_thread: Thread | None,
        thread_config: Json,
        scope: Scope,
        quota: Quota = UNLIMITED,
    ) -> Created:
        if scope or quota != UNLIMITED or run.multitask_strategy in ("interrupt", "rollback"):
            return await super().create(
                run, create_thread=create_thread, thread_config=thread_config, scope=scope, quota=quota
            )
        creation = _creation(exclusive=run.multitask_strategy == "reject", makes_thread=create_thread is not None)
        shared = {key: run.metadata[key] for key in SHARED_METADATA if key in run.metadata}
        values = {"thread_id": run.thread_id, "config": thread_config, "shared": shared, "now": self._clock()}
        values |= {f"run_{name}": value for name, value in RUNS.values(run).items()}
        if create_thread is not None:
            values |= {f"made_{name}": value for name, value in THREADS.values(create_thread).items()}
            values["made_metadata"] = {**create_thread.metadata, **shared}
        try:
            created = await self._direct.fetch(creation, values)
        except asyncpg.UniqueViolationError as error:
            raise ConflictError(f"Run {run.run_id} already exists") from error
        if not created:
            async with self._database.statement() as connection:
                await self._refuse(connection, run, scope)
        return Created(run=run)

    async def get(self, run_id: str, *, thread_id: str | None, scope: Scope) -> Run:
        if scope:
            return await super().get(run_id, thread_id=thread_id, scope=scope)
        found = await self._direct.fetch(_lookup(), {"run_id": run_id})
        run = RUNS.record(found[0]) if found else None
        if run is None or thread_id not in (None, run.thread_id):
            raise NotFoundError("Run not found")
        return run


@cache
def _lookup() -> Prepared:
    return Prepared(select(*RUNS.columns).where(runs.c.run_id == bindparam("run_id")))


@cache
def _creation(*, exclusive: bool, makes_thread: bool) -> Prepared:
    """Make the thread busy with one run more, perhaps having made it, and add the run's row if that was possible."""
    config, now = bindparam("config", type_=JsonColumn), bindparam("now", type_=Moment)
    shared = bindparam("shared", type_=JsonColumn)
    busy = {"status": "busy", "config": config, "updated_at": now}
    metadata = threads.c.metadata.op("||")(shared)
    changes = {**busy, "metadata": metadata, "inflight": threads.c.inflight + 1}
    admits = threads.c.inflight == 0 if exclusive else true()
    if makes_thread:
        made = {column.name: bindparam(f"made_{column.name}", type_=column.type) for column in THREADS.columns}
        inserted = postgresql.insert(threads).values({**made, **busy, "inflight": 1})
        occupying: Any = inserted.on_conflict_do_update(
            index_elements=[threads.c.thread_id], set_=changes, where=admits
        )
    else:
        occupying = update(threads).where(threads.c.thread_id == bindparam("thread_id"), admits).values(changes)
    occupied = occupying.returning(threads.c.thread_id).cte("occupied")
    names = [column.name for column in RUNS.columns]
    row = select(*(_column(f"run_{name}", runs.c[name].type) for name in names)).select_from(occupied)
    return Prepared(insert(runs).from_select(names, row).returning(runs.c.place))


def _column(name: str, kind: TypeEngine[Any]) -> Any:
    return bindparam(name, type_=kind).label(name)
