"""Runs in a SQL database, as their owners see them.

Whatever touches a thread and its runs locks the thread's row first: nobody waits for each other in a circle, and the
number of runs in flight on the row is always the newest.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from fast_graph.backends.sql.admitting import admit
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import RUNS, THREADS
from fast_graph.backends.sql.settling import settle
from fast_graph.backends.sql.tables import IN_FLIGHT, PENDING, RUNNING, runs, threads
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, NotFoundError
from fast_graph.model.lifecycle import INFLIGHT, CancelAction
from fast_graph.model.queries import RunQuery
from fast_graph.model.quota import UNLIMITED, Quota
from fast_graph.model.records import Created, Json, Page, Run, Scope, Thread

SHARED_METADATA = ("graph_id", "assistant_id")
ON_CONFLICT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class SqlRuns:
    """The RunStore port."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        run: Run,
        *,
        create_thread: Thread | None,
        thread_config: Json,
        scope: Scope,
        quota: Quota = UNLIMITED,
    ) -> Created:
        try:
            async with self._database.transaction() as connection:
                if quota != UNLIMITED:
                    await admit(connection, run, quota)
                await self._occupy(connection, run, create_thread, thread_config, scope)
                displaced = await self._displace(connection, run)
                await connection.execute(insert(runs), RUNS.values(run))
        except IntegrityError as error:
            raise ConflictError(f"Run {run.run_id} already exists") from error
        return Created(run=run, displaced=displaced)

    async def _occupy(
        self, connection: AsyncConnection, run: Run, create_thread: Thread | None, config: Json, scope: Scope
    ) -> None:
        occupied = self._occupying(connection.dialect.name, run, create_thread, config, scope)
        if (await connection.execute(occupied)).first() is None:
            await self._refuse(connection, run, scope)

    def _occupying(
        self, dialect: str, run: Run, create_thread: Thread | None, config: Json, scope: Scope
    ) -> ReturningUpdate[Any] | ReturningInsert[Any]:
        """Make the thread busy with one run more; its row is held until the transaction ends."""
        shared = {key: run.metadata[key] for key in SHARED_METADATA if key in run.metadata}
        changes = {
            "status": "busy",
            "config": config,
            "metadata": self._database.json.merged(threads.c.metadata, shared),
            "updated_at": self._clock(),
            "inflight": threads.c.inflight + 1,
        }
        admits = [self._database.json.in_scope(threads.c.metadata, scope)]
        if run.multitask_strategy == "reject":
            admits.append(threads.c.inflight == 0)
        if create_thread is None:
            occupied = update(threads).where(threads.c.thread_id == run.thread_id, *admits).values(changes)
            return occupied.returning(threads.c.thread_id)
        made = {**changes, "metadata": {**create_thread.metadata, **shared}, "inflight": 1}
        inserted = ON_CONFLICT[dialect](threads).values({**THREADS.values(create_thread), **made})
        is_there = {"index_elements": [threads.c.thread_id], "set_": changes, "where": and_(*admits)}
        conflicting: ReturningInsert[Any] = inserted.on_conflict_do_update(**is_there).returning(threads.c.thread_id)
        return conflicting

    async def _refuse(self, connection: AsyncConnection, run: Run, scope: Scope) -> None:
        """Say why the thread takes no run: it is not there, or it is busy."""
        visible = self._database.json.in_scope(threads.c.metadata, scope)
        found = select(threads.c.thread_id).where(threads.c.thread_id == run.thread_id, visible)
        if (await connection.execute(found)).first() is None:
            raise NotFoundError(f"Thread {run.thread_id} not found")
        raise ConflictError(
            f"Thread {run.thread_id} has a run in flight: wait for it, or choose another multitask strategy"
        )

    async def _displace(self, connection: AsyncConnection, run: Run) -> Sequence[Run]:
        action = run.multitask_strategy
        if action not in ("interrupt", "rollback"):
            return ()
        others = await _in_flight(connection, runs.c.thread_id == run.thread_id)
        stopped = await self._stop(connection, others, action, superseded_by=run.run_id)
        ended = sum(1 for other in stopped if other.status != "running")
        if ended:
            fewer = update(threads).where(threads.c.thread_id == run.thread_id)
            await connection.execute(fewer.values(inflight=threads.c.inflight - ended))
        return stopped

    async def _stop(
        self, connection: AsyncConnection, found: Sequence[Run], action: CancelAction, superseded_by: str | None = None
    ) -> Sequence[Run]:
        """End the pending runs, wish that the running ones stop; all of them as they stand then."""
        named = runs.c.run_id.in_([run.run_id for run in found])
        if any(run.status == "running" for run in found):
            wish = update(runs).where(named, RUNNING)
            if action == "interrupt":
                wish = wish.where(runs.c.wish.is_(None))
            await connection.execute(wish.values(wish=action, superseded_by=superseded_by))
        if any(run.status == "pending" for run in found):
            await connection.execute(self._end_pending(action).where(named, PENDING))
        now = self._clock()
        return [run if run.status == "running" else _interrupted(run, now) for run in found]

    def _end_pending(self, action: CancelAction) -> Any:
        if action == "rollback":
            return delete(runs)
        return update(runs).values(status="interrupted", error=None, updated_at=self._clock())

    async def get(self, run_id: str, *, thread_id: str | None, scope: Scope) -> Run:
        async with self._database.statement() as connection:
            row = (await connection.execute(self._find(run_id, thread_id, scope))).first()
        if row is None:
            raise NotFoundError("Run not found")
        return RUNS.record(row)

    def _find(self, run_id: str, thread_id: str | None, scope: Scope) -> Select[Any]:
        found = select(*RUNS.columns).where(runs.c.run_id == run_id)
        if thread_id is not None:
            found = found.where(runs.c.thread_id == thread_id)
        return self._scoped(found, scope)

    def _scoped(self, found: Select[Any], scope: Scope) -> Select[Any]:
        if not scope:
            return found
        return found.join(threads, threads.c.thread_id == runs.c.thread_id).where(
            self._database.json.in_scope(threads.c.metadata, scope)
        )

    async def search(self, query: RunQuery, *, scope: Scope) -> Page[Run]:
        visible = self._database.json.in_scope(threads.c.metadata, scope)
        thread = select(threads.c.thread_id).where(threads.c.thread_id == query.thread_id, visible)
        found = select(*RUNS.columns).where(runs.c.thread_id == query.thread_id)
        if query.status is not None:
            found = found.where(runs.c.status == query.status)
        async with self._database.statement() as connection:
            if (await connection.execute(thread)).first() is None:
                raise NotFoundError(f"Thread {query.thread_id} not found")
            return await RUNS.page(connection, found, query, runs.c.place)

    async def inflight(self, *, thread_id: str | None, scope: Scope) -> Sequence[Run]:
        found = select(*RUNS.columns).where(IN_FLIGHT).order_by(runs.c.place)
        if thread_id is not None:
            found = found.where(runs.c.thread_id == thread_id)
        async with self._database.statement() as connection:
            return [RUNS.record(row) for row in await connection.execute(self._scoped(found, scope))]

    async def request_cancel(self, run_ids: Sequence[str], action: CancelAction, *, scope: Scope) -> Sequence[Run]:
        named = runs.c.run_id.in_(run_ids)
        of_them = select(runs.c.thread_id).where(named, IN_FLIGHT)
        visible = self._database.json.in_scope(threads.c.metadata, scope)
        locked = select(threads.c.thread_id).where(threads.c.thread_id.in_(of_them), visible)
        async with self._database.transaction() as connection:
            thread_ids = list(await connection.scalars(locked.order_by(threads.c.thread_id).with_for_update()))
            if not thread_ids:
                return ()
            found = await _in_flight(connection, named & runs.c.thread_id.in_(thread_ids))
            stopped = await self._stop(connection, found, action)
            for run in stopped:
                if run.status != "running" and await settle(connection, run, self._clock()):
                    await connection.execute(delete(runs).where(runs.c.thread_id == run.thread_id))
            return stopped

    async def delete(self, run_id: str, *, thread_id: str, scope: Scope) -> Run:
        visible = self._database.json.in_scope(threads.c.metadata, scope)
        locked = select(threads.c.thread_id).where(threads.c.thread_id == thread_id, visible).with_for_update()
        gone = delete(runs).where(runs.c.run_id == run_id, runs.c.thread_id == thread_id).returning(*RUNS.columns)
        async with self._database.transaction() as connection:
            is_there = (await connection.execute(locked)).first() is not None
            row = (await connection.execute(gone)).first() if is_there else None
            if row is None:
                raise NotFoundError("Run not found")
            run = RUNS.record(row)
            if await settle(connection, run, self._clock(), ended=int(run.status in INFLIGHT)):
                await connection.execute(delete(runs).where(runs.c.thread_id == thread_id))
            return run


async def _in_flight(connection: AsyncConnection, which: ColumnElement[bool]) -> Sequence[Run]:
    found = select(*RUNS.columns).where(which, IN_FLIGHT).order_by(runs.c.place).with_for_update()
    return [RUNS.record(row) for row in await connection.execute(found)]


def _interrupted(run: Run, now: datetime) -> Run:
    return replace(run, status="interrupted", error=None, updated_at=now)
