"""Threads in PostgreSQL: looking one up without SQLAlchemy's share."""

from functools import cache

import asyncpg
from sqlalchemy import bindparam, insert, select

from fast_graph.backends.postgres.direct import Direct, Prepared
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import THREADS
from fast_graph.backends.sql.tables import threads
from fast_graph.backends.sql.threads import SqlThreads
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, NotFoundError
from fast_graph.model.match import in_scope
from fast_graph.model.records import Scope, Thread


class PostgresThreads(SqlThreads):
    """Every run begins by reading its thread, which most clients have just made."""

    def __init__(self, database: Database, direct: Direct, clock: Clock) -> None:
        super().__init__(database, clock)
        self._direct = direct

    async def create(self, thread: Thread) -> None:
        try:
            await self._direct.fetch(_creation(), THREADS.values(thread))
        except asyncpg.UniqueViolationError as error:
            raise ConflictError(f"Thread {thread.thread_id} already exists") from error

    async def get(self, thread_id: str, *, scope: Scope) -> Thread:
        found = await self._direct.fetch(_lookup(), {"wanted": thread_id})
        thread = THREADS.record(found[0]) if found else None
        if thread is None or not in_scope(thread.metadata, scope):
            raise NotFoundError(f"Thread {thread_id} not found")
        return thread


@cache
def _creation() -> Prepared:
    return Prepared(insert(threads).values({column.name: bindparam(column.name) for column in THREADS.columns}))


@cache
def _lookup() -> Prepared:
    return Prepared(select(*THREADS.columns).where(threads.c.thread_id == bindparam("wanted")))
