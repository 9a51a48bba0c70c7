"""Checkpoints and items in a database, with as much of the runs' table as they need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from fast_graph.backends.postgres.checkpoints import PostgresCheckpointer
from fast_graph.backends.postgres.direct import Direct
from fast_graph.backends.postgres.engine import PostgresOptions
from fast_graph.backends.postgres.held_back import LINGER
from fast_graph.backends.postgres.items import PostgresStore
from fast_graph.backends.postgres.pool import Connections
from fast_graph.model.records import FENCE_KEY

NEVER = 3600.0
"""A linger that only a flush ends."""
RUNS = """
CREATE TABLE IF NOT EXISTS fast_graph_runs (
    run_id text PRIMARY KEY, thread_id text NOT NULL, token bigint NOT NULL, status text NOT NULL
)"""


@dataclass(frozen=True)
class Kept:
    """The parts, open, and how to look at and prepare what is in the database."""

    connections: Connections
    checkpointer: PostgresCheckpointer
    store: PostgresStore

    async def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """The rows that a statement of the test gives."""

        async def asking() -> list[dict[str, Any]]:
            async with self.connections.pool.connection() as connection:
                cursor = await connection.execute(statement, values)
                return await cursor.fetchall() if cursor.description else []

        return await self.connections.reach(asking)

    async def count(self, table: str) -> int:
        """How many rows are in the table."""
        [row] = await self.sql(f"SELECT count(*) AS n FROM {table}")
        return int(row["n"])

    async def hold(self, run_id: str, thread_id: str, token: int = 1) -> RunnableConfig:
        """Claim a run under that token; the config its graph is called with."""
        await self.sql(
            "INSERT INTO fast_graph_runs VALUES (%s, %s, %s, 'running') "
            "ON CONFLICT (run_id) DO UPDATE SET token = EXCLUDED.token",
            run_id,
            thread_id,
            token,
        )
        return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", "run_id": run_id, FENCE_KEY: token}}


@asynccontextmanager
async def kept_in(url: str, *, linger: float = LINGER, size: int = 4, patience: float = 60.0) -> AsyncIterator[Kept]:
    """All of it, open."""
    connections = Connections(url, size=size, patience=patience)
    direct = Direct(PostgresOptions(url=url, pool_size=size))
    kept = Kept(connections, PostgresCheckpointer(connections, direct, linger=linger), PostgresStore(connections))
    async with direct, kept.connections, kept.checkpointer:
        await kept.checkpointer.setup()
        await kept.store.setup()
        await kept.sql(RUNS)
        yield kept
