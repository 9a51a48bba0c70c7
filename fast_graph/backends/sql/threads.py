"""Threads in a SQL database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from sqlalchemy import case, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import THREADS
from fast_graph.backends.sql.tables import runs, threads
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, NotFoundError
from fast_graph.model.lifecycle import ThreadStatus
from fast_graph.model.queries import ThreadQuery
from fast_graph.model.records import Json, Page, Scope, Thread, ThreadState
from fast_graph.storage.threads import MOST_HELD


class SqlThreads:
    """The ThreadStore port."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, thread: Thread) -> None:
        try:
            async with self._database.statement() as connection:
                await connection.execute(insert(threads), THREADS.values(thread))
        except IntegrityError as error:
            raise ConflictError(f"Thread {thread.thread_id} already exists") from error

    async def get(self, thread_id: str, *, scope: Scope) -> Thread:
        async with self._database.statement() as connection:
            return await self._get(connection, thread_id, scope)

    async def _get(self, connection: AsyncConnection, thread_id: str, scope: Scope) -> Thread:
        row = (await connection.execute(select(*THREADS.columns).where(*self._visible(thread_id, scope)))).first()
        if row is None:
            raise NotFoundError(f"Thread {thread_id} not found")
        return THREADS.record(row)

    def _visible(self, thread_id: str, scope: Scope) -> list[Any]:
        return [threads.c.thread_id == thread_id, self._database.json.in_scope(threads.c.metadata, scope)]

    async def search(self, query: ThreadQuery, *, scope: Scope) -> Page[Thread]:
        json = self._database.json
        found = select(*THREADS.columns).where(json.in_scope(threads.c.metadata, scope))
        if query.metadata:
            found = found.where(json.contains(threads.c.metadata, query.metadata))
        if query.values:
            found = found.where(json.contains(threads.c["values"], query.values))
        if query.status is not None:
            found = found.where(threads.c.status == query.status)
        if query.ids is not None:
            found = found.where(threads.c.thread_id.in_(query.ids))
        async with self._database.statement() as connection:
            return await THREADS.page(connection, found, query, threads.c.thread_id)

    async def patch(self, thread_id: str, *, metadata: Json, scope: Scope) -> Thread:
        return await self._change(thread_id, scope, self._merging(metadata))

    def _merging(self, metadata: Json) -> dict[str, Any]:
        changes: dict[str, Any] = {"updated_at": self._clock()}
        return {**changes, "metadata": self._database.json.merged(threads.c.metadata, metadata)}

    async def _change(self, thread_id: str, scope: Scope, changes: dict[str, Any]) -> Thread:
        changed = update(threads).where(*self._visible(thread_id, scope)).values(changes)
        async with self._database.statement() as connection:
            row = (await connection.execute(changed.returning(*THREADS.columns))).first()
        if row is None:
            raise NotFoundError(f"Thread {thread_id} not found")
        return THREADS.record(row)

    async def delete(self, thread_id: str, *, scope: Scope) -> None:
        async with self._database.transaction() as connection:
            gone = await connection.execute(delete(threads).where(*self._visible(thread_id, scope)))
            if not gone.rowcount:
                raise NotFoundError(f"Thread {thread_id} not found")
            await connection.execute(delete(runs).where(runs.c.thread_id == thread_id))

    @asynccontextmanager
    async def hold(self, thread_id: str, *, scope: Scope) -> AsyncIterator[Thread]:
        hold = str(uuid4())
        thread = await self._take_hold(thread_id, scope, hold)
        try:
            yield thread
        finally:
            freed = update(threads).where(threads.c.thread_id == thread_id, threads.c.hold == hold)
            async with self._database.statement() as connection:
                await connection.execute(freed.values(hold=None, held_until=None))

    async def _take_hold(self, thread_id: str, scope: Scope, hold: str) -> Thread:
        now = self._clock()
        is_free = or_(threads.c.held_until.is_(None), threads.c.held_until <= now)
        taken = update(threads).where(*self._visible(thread_id, scope), threads.c.inflight == 0, is_free)
        taken = taken.values(hold=hold, held_until=now + MOST_HELD)
        async with self._database.statement() as connection:
            row = (await connection.execute(taken.returning(*THREADS.columns))).first()
            if row is not None:
                return THREADS.record(row)
            await self._get(connection, thread_id, scope)
        raise ConflictError(f"Thread {thread_id} is busy: wait for its run to end, or cancel it, and try again")

    async def put_state(
        self, thread_id: str, state: ThreadState, *, status: ThreadStatus, metadata: Json, scope: Scope
    ) -> Thread:
        merging = self._merging(metadata)
        changes = {
            **merging,
            "values": state.values,
            "interrupts": state.interrupts,
            "resting": status,
            "status": case((threads.c.inflight > 0, "busy"), else_=status),
            "error": None,
            "touched": True,
            "state_updated_at": merging["updated_at"],
        }
        return await self._change(thread_id, scope, changes)
