"""Builds every part and holds it: the one place where a backend is chosen."""

import asyncio
import gc
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from importlib.metadata import version
from types import TracebackType
from typing import Self
from uuid import uuid4

from fastapi import APIRouter
from uuid_utils import uuid7

from fast_graph.api.assistants import AssistantRoutes
from fast_graph.api.items import ItemRoutes
from fast_graph.api.meta import MetaRoutes
from fast_graph.api.runs import RunRoutes
from fast_graph.api.threads import ThreadRoutes
from fast_graph.auth.policy import OpenPolicy
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.memory.ledger import Bounds
from fast_graph.backends.postgres.engine import PostgresOptions
from fast_graph.backends.postgres_redis import PostgresRedisBackend
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.redis.streams import StreamBounds as RedisBounds
from fast_graph.backends.sealed.backend import SealedBackend, check_keys
from fast_graph.backends.sqlite.backend import SqliteBackend
from fast_graph.backends.sqlite.streams import StreamBounds as SqliteBounds
from fast_graph.engine.execution import Tools
from fast_graph.engine.worker import Worker, WorkerOptions
from fast_graph.graphs.registry import GraphSource, Registry, check_graphs
from fast_graph.model.clock import system_clock
from fast_graph.model.errors import ConfigurationError
from fast_graph.outgoing.rules import UrlRules
from fast_graph.services.assistants import Assistants
from fast_graph.services.items import Items
from fast_graph.services.runs import Runs
from fast_graph.services.state import States
from fast_graph.services.streams import Streams
from fast_graph.services.threads import Threads
from fast_graph.settings import Settings
from fast_graph.storage.backend import Backend

log = logging.getLogger("fast_graph")

GraphFactory = Callable[[], Mapping[str, GraphSource]]


def new_id() -> str:
    """A UUIDv7: unique, and in the order of creation."""
    return str(uuid7())


class Runtime:
    """A server's parts: ``router`` has its routes, and ``async with`` starts and stops what works behind them.

    ``fastGraph`` makes an app of it; an app of your own includes the router and enters the runtime in its lifespan.
    """

    def __init__(
        self,
        graphs: Mapping[str, GraphSource] | None = None,
        *,
        graph_factory: GraphFactory | None = None,
        backend: Backend | None = None,
        settings: Settings | None = None,
        max_attempts: Mapping[str, int] | None = None,
        docs_url: str | None = "/docs",
    ) -> None:
        """Put the parts together; nothing is started. Raises ConfigurationError for what cannot work."""
        self.settings = settings or Settings()
        self.backend = _sealed(backend or _backend(self.settings), self.settings.encryption_keys)
        self.stores = self.backend.connect()
        served = _all_graphs(graphs or {}, graph_factory)
        self._max_attempts = _checked_attempts(max_attempts or {}, served)
        self.graphs = Registry(
            served,
            checkpointer=self.stores.checkpointer,
            scratch=self.stores.scratch,
            store=self.stores.store,
        )
        self.outgoing = _url_rules(self.settings)
        self._build_services()
        self.worker = self._worker()
        self._docs_url = docs_url
        self._open = AsyncExitStack()

    def _build_services(self) -> None:
        stores, policy = self.stores, OpenPolicy()
        self.assistants = Assistants(
            stores.assistants,
            stores.threads,
            graphs=self.graphs,
            policy=policy,
            clock=system_clock,
            new_id=lambda: str(uuid4()),
        )
        self.runs = Runs(
            stores.runs,
            stores.threads,
            assistants=self.assistants,
            streams=stores.streams,
            signals=stores.signals,
            policy=policy,
            clock=system_clock,
            new_id=new_id,
            stop_patience=self.settings.poll,
            max_attempts=self._max_attempts,
        )
        self.states = States(
            stores.threads, stores.checkpointer, signals=stores.signals, graphs=self.graphs, policy=policy
        )
        self.threads = Threads(
            stores.threads,
            stores.checkpointer,
            signals=stores.signals,
            runs=self.runs,
            states=self.states,
            policy=policy,
            clock=system_clock,
            new_id=new_id,
        )
        self.streams = Streams(
            stores.streams,
            stores.runs,
            stores.threads,
            service=self.runs,
            policy=policy,
            new_id=new_id,
            idle=self.settings.poll,
        )
        self.items = Items(stores.store, policy=policy)

    def _worker(self) -> Worker:
        settings, stores = self.settings, self.stores
        tools = Tools(
            queue=stores.queue,
            runs=stores.runs,
            streams=stores.streams,
            graphs=self.graphs,
            checkpointer=stores.checkpointer,
            scratch=stores.scratch,
            run_timeout=settings.run_timeout,
        )
        options = WorkerOptions(
            name=f"{socket.gethostname()}:{os.getpid()}",
            slots=settings.worker_slots,
            lease=settings.lease,
            heartbeat=settings.heartbeat,
            poll=settings.poll,
            max_attempts=settings.max_attempts,
            drain=settings.drain,
        )
        return Worker(tools, signals=stores.signals, clock=system_clock, options=options, apart=stores.apart)

    @property
    def router(self) -> APIRouter:
        """The server's routes, to be included in an app of yours."""
        router = APIRouter()
        self.add_routes(router)
        return router

    def add_routes(self, router: APIRouter) -> None:
        """Add the server's routes to a router, the busiest first."""
        RunRoutes(self.runs, self.streams).add_to(router)
        ThreadRoutes(self.threads, self.states).add_to(router)
        ItemRoutes(self.items).add_to(router)
        AssistantRoutes(self.assistants, self.threads).add_to(router)
        MetaRoutes(self._docs_url, health=self.stores.health).add_to(router)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._widen_executor()
            await stack.enter_async_context(self.stores)
            await check_keys(self.stores.checkpointer)
            await self.assistants.ensure_system()
            # What is loaded by now stays: without this, each full collection walks all of it and stops the loop.
            gc.freeze()
            stack.callback(gc.unfreeze)
            if self.settings.worker:
                await stack.enter_async_context(self.worker.working())
            self._open = stack.pop_all()
        self._introduce()
        return self

    def _introduce(self) -> None:
        names = ", ".join(self.graphs.names) or "no graphs"
        slots = f"{self.settings.worker_slots} slots" if self.settings.worker else "no worker"
        log.info("FastGraph %s serves %s on %s, %s", version("fast-graph"), names, self.backend.name, slots)

    def _widen_executor(self) -> None:
        """Plain functions run in the loop's executor, whose usual handful of threads would make them wait in line.

        It is the loop's from now on: who runs the loop ends it.
        """
        threads = ThreadPoolExecutor(self.settings.sync_threads, "fast-graph-node")
        asyncio.get_running_loop().set_default_executor(threads)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()


async def migrate(settings: Settings) -> str:
    """Bring the database of the settings up to date; says what was done. Raises ConfigurationError."""
    backend = _backend(settings)
    if isinstance(backend, MemoryBackend):
        return "The memory backend has nothing to migrate: set POSTGRE_DATABASE_URL or FAST_GRAPH_SQLITE_PATH"
    return await backend.connect().migrate()


def _backend(settings: Settings) -> MemoryBackend | SqliteBackend | PostgresRedisBackend:
    if settings.postgres_url is not None:
        return _postgres_redis(settings, settings.postgres_url)
    if settings.sqlite_path is not None:
        bounds = SqliteBounds(
            stream_bytes=settings.stream_max_bytes,
            kept_stream_bytes=settings.stream_kept_max_bytes,
            stream_ttl=settings.stream_ttl,
        )
        return SqliteBackend(path=settings.sqlite_path, streams=bounds)
    return _memory(settings)


def _sealed(backend: Backend, keys: Sequence[str]) -> Backend:
    if not keys:
        return backend
    if isinstance(backend, MemoryBackend | SqliteBackend | PostgresRedisBackend):
        return SealedBackend(backend=backend, keys=keys)
    raise ConfigurationError(
        f"FAST_GRAPH_ENCRYPTION_KEYS is set, but {backend.name} takes no keys from there: remove them"
    )


def _memory(settings: Settings) -> MemoryBackend:
    bounds = Bounds(
        threads=settings.memory_max_threads,
        pending_runs=settings.memory_max_pending_runs,
        runs_per_thread=settings.memory_max_runs_per_thread,
        stream_bytes=settings.stream_max_bytes,
        kept_stream_bytes=settings.stream_kept_max_bytes,
        stream_ttl=settings.stream_ttl,
    )
    return MemoryBackend(bounds=bounds)


def _postgres_redis(settings: Settings, postgres_url: str) -> PostgresRedisBackend:
    postgres = PostgresOptions(
        url=postgres_url,
        pool_size=settings.postgres_pool_size,
        max_overflow=settings.postgres_max_overflow,
        echo=settings.postgres_echo,
    )
    redis = RedisOptions(
        url=settings.redis_url,
        host=settings.redis_host or "localhost",
        port=settings.redis_port,
        password=settings.redis_password,
        db=settings.redis_db,
        max_connections=settings.redis_max_connections,
        key_prefix=settings.redis_key_prefix,
    )
    streams = RedisBounds(stream_bytes=settings.stream_max_bytes, stream_ttl=settings.stream_ttl)
    return PostgresRedisBackend(postgres=postgres, redis=redis, streams=streams, migrate=settings.migrate)


def _url_rules(settings: Settings) -> UrlRules:
    return UrlRules(
        loopback=settings.outgoing_loopback,
        private=settings.outgoing_private,
        https_only=settings.outgoing_https_only,
        domains=settings.outgoing_domains,
        ports=settings.outgoing_ports,
        max_length=settings.outgoing_max_length,
    )


def _all_graphs(graphs: Mapping[str, GraphSource], factory: GraphFactory | None) -> Mapping[str, GraphSource]:
    made = factory() if factory is not None else {}
    for given, what in ((graphs, "graphs is"), (made, "graph_factory returned")):
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{what} an object of type {type(given).__name__}: give graphs by name, as a dict")
    twice = sorted(graphs.keys() & made.keys())
    if twice:
        raise ConfigurationError(f"The graph name {twice[0]!r} is given twice: by graphs and by graph_factory")
    check_graphs({**graphs, **made})
    return {**graphs, **made}


def _checked_attempts(max_attempts: Mapping[str, int], graphs: Mapping[str, GraphSource]) -> Mapping[str, int]:
    for name, number in max_attempts.items():
        if name not in graphs:
            raise ConfigurationError(f"max_attempts names the graph {name!r}, which is not served")
        if number < 1:
            raise ConfigurationError(f"max_attempts of the graph {name!r} is {number}: a run is tried once at least")
    return max_attempts
