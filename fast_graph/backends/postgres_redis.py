"""The backend for any number of instances: rows, checkpoints and items in PostgreSQL, streams and signals in Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.store.postgres.base import PostgresIndexConfig
from sqlalchemy import text

from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from fast_graph.backends.postgres.assistants import PostgresAssistants
from fast_graph.backends.postgres.checkpoints import PostgresCheckpointer
from fast_graph.backends.postgres.clock import SharedClock
from fast_graph.backends.postgres.direct import Direct
from fast_graph.backends.postgres.engine import PostgresOptions, open_engine, reachable
from fast_graph.backends.postgres.items import PostgresStore
from fast_graph.backends.postgres.migrating import migrate, outdated
from fast_graph.backends.postgres.pool import Connections
from fast_graph.backends.postgres.queue import PostgresQueue
from fast_graph.backends.postgres.runs import PostgresRuns
from fast_graph.backends.postgres.threads import PostgresThreads
from fast_graph.backends.redis.link import RedisLink
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.redis.signals import RedisSignals
from fast_graph.backends.redis.streams import RedisStreams, StreamBounds
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.dialects import PostgresJson
from fast_graph.backends.sql.queue import SqlQueue
from fast_graph.backends.standby import Standby
from fast_graph.model.clock import Clock, system_clock
from fast_graph.model.errors import ConfigurationError, UnavailableError
from fast_graph.storage.queue import RunQueue

HEARTBEAT = 3.0
"""Seconds that a statement of the heartbeat may take: a lease does not last much longer."""

PROBE = 2.0
"""Seconds that a look at the servers' health may take."""


class PostgresRedisStores(AbstractAsyncContextManager["PostgresRedisStores"]):
    """The parts of the backend."""

    def __init__(self, backend: "PostgresRedisBackend") -> None:
        options = backend.postgres
        self._backend = backend
        self._engine = open_engine(options)
        self._database = Database(self._engine, PostgresJson())
        self._direct = Direct(options)
        self._connections = Connections(options.libpq, size=options.pool_size)
        self._link = RedisLink(backend.redis)
        self._clock = backend.clock or SharedClock(system_clock)
        self.assistants = PostgresAssistants(self._database, self._direct, self._clock)
        self.threads = PostgresThreads(self._database, self._direct, self._clock)
        standby = Standby()
        self.runs = PostgresRuns(self._database, self._direct, standby, self._clock)
        self.queue = PostgresQueue(self._database, self._direct, standby, self._clock)
        self.streams = RedisStreams(self._link, backend.clock or system_clock, backend.streams)
        self.signals = RedisSignals(self._link)
        self.checkpointer = PostgresCheckpointer(self._connections, self._direct, serde=backend.serde)
        self.scratch = MemoryCheckpointer()
        self.store = PostgresStore(self._connections, index=backend.index)
        self._open = AsyncExitStack()

    @asynccontextmanager
    async def _apart(self) -> AsyncIterator[RunQueue]:
        engine = open_engine(replace(self._backend.postgres, pool_size=1, max_overflow=0, patience=HEARTBEAT))
        try:
            yield SqlQueue(Database(engine, PostgresJson()), self._clock)
        finally:
            await engine.dispose()

    def apart(self) -> AbstractAsyncContextManager[RunQueue]:
        return self._apart()

    async def health(self) -> Mapping[str, str]:
        probes = {"postgres": self._ask_postgres, "redis": self._link.ping}
        found = await asyncio.gather(*(_probe(probe) for probe in probes.values()))
        return dict(zip(probes, found, strict=True))

    async def _ask_postgres(self) -> None:
        async with self._database.statement() as connection:
            await connection.execute(text("SELECT 1"))

    async def migrate(self) -> str:
        """Bring the database up to date, without the rest. Says what was done."""
        async with AsyncExitStack() as stack:
            await self._open_postgres(stack)
            return await self._migrate()

    async def _migrate(self) -> str:
        return await migrate(self._engine, [self.checkpointer.setup, self.store.setup])

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open_postgres(stack)
            if self._backend.migrate:
                await self._migrate()
            elif wrong := await outdated(self._engine):
                raise ConfigurationError(wrong)
            await stack.enter_async_context(self._link)
            await stack.enter_async_context(self.checkpointer)
            self._open = stack.pop_all()
        return self

    async def _open_postgres(self, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self._engine.dispose)
        async with reachable(self._backend.postgres), self._engine.connect() as connection:
            if isinstance(self._clock, SharedClock):
                await self._clock.compare(connection)
        await stack.enter_async_context(self._direct)
        await stack.enter_async_context(self._connections)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()


async def _probe(probe: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(PROBE):
            await probe()
    except (UnavailableError, TimeoutError):
        return "unreachable"
    return "ok"


@dataclass(frozen=True, kw_only=True)
class PostgresRedisBackend:
    """Everything shared by the instances that name the same PostgreSQL and Redis."""

    postgres: PostgresOptions
    redis: RedisOptions
    streams: StreamBounds = field(default_factory=StreamBounds)
    index: PostgresIndexConfig | None = None
    """How store items are searched by meaning: embeddings, dimensions, fields. Needs the extension pgvector."""
    migrate: bool = True
    """Bring the database up to date at start."""
    clock: Clock | None = None
    """In place of the machine's, put right by the database's."""
    serde: SerializerProtocol | None = None
    """How checkpoints become bytes, if not as LangGraph does it."""

    @property
    def name(self) -> str:
        """Where everything is, without secrets."""
        return f"PostgreSQL ({self.postgres.where}) and Redis ({self.redis.where})"

    def connect(self) -> PostgresRedisStores:
        """The parts, not open yet."""
        return PostgresRedisStores(self)
