"""Bringing a PostgreSQL database up to date, by whoever comes first."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fast_graph.backends.sql.migrating import current, newest, upgrade

LOCK = int.from_bytes(b"fastgrph")
"""The key of the advisory lock that one process at a time holds while it migrates."""

PAUSE = 0.2
"""Seconds between two looks at the lock."""

log = logging.getLogger("fast_graph")


async def migrate(engine: AsyncEngine, setups: Sequence[Callable[[], Awaitable[None]]]) -> str:
    """Bring our tables up to date, and then what each of ``setups`` looks after. Says from what to what."""
    async with _alone(engine) as connection:
        before = await connection.run_sync(current)
        async with engine.begin() as migrating:
            await migrating.run_sync(upgrade)
        for setup in setups:
            await setup()
        after = await connection.run_sync(current)
    if before == after:
        return f"The database is up to date (revision {after})"
    return f"The database was migrated from {f'revision {before}' if before else 'nothing'} to revision {after}"


async def outdated(engine: AsyncEngine) -> str | None:
    """What is wrong with a database that nobody is to migrate now; ``None`` if nothing is."""
    async with engine.connect() as connection:
        before = await connection.run_sync(current)
    if before is None:
        return "The database has no tables of FastGraph: run `fast-graph migrate`"
    # A revision we do not know was made by a newer version, which only adds to what we need.
    behind = before != newest() and before < (newest() or "")
    return f"The database is at revision {before}: run `fast-graph migrate`" if behind else None


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Hold the lock. Who waits for it asks again and again: a waiting statement would hold up the very thing it waits
    for, as an index that is built concurrently waits for every statement that is under way.
    """
    single = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with single.connect() as connection:
        waits = False
        while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
            if not waits:
                log.info("waiting for another instance that migrates the database")
                waits = True
            await asyncio.sleep(PAUSE)
        try:
            yield connection
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
