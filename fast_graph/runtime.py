"""Builds every part and holds it: the one place where a backend is chosen."""

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from fastapi import APIRouter, FastAPI, params
from langgraph_sdk import Auth
from limits import parse_many
from starlette.middleware import Middleware
from uuid_utils import uuid7

from fast_graph.api.assistants import AssistantRoutes
from fast_graph.api.guard import by_credentials, by_dependency
from fast_graph.api.items import ItemRoutes
from fast_graph.api.limits import BodyLimit, OpenStreams, RateLimit
from fast_graph.api.meta import MetaRoutes
from fast_graph.api.routing import Guard
from fast_graph.api.runs import RunRoutes
from fast_graph.api.threads import ThreadRoutes
from fast_graph.auth.jwt import FixedKey, Keys, KeySet, Tokens
from fast_graph.auth.keys import ApiKeys, Either, parse_entries
from fast_graph.auth.owners import OwnerPolicy
from fast_graph.auth.policy import OpenPolicy, Policy
from fast_graph.auth.sdk import AuthenticateFunction, SdkPolicy, authenticator_of
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.memory.ledger import Bounds
from fast_graph.backends.postgres.engine import PostgresOptions
from fast_graph.backends.postgres_redis import PostgresRedisBackend
from fast_graph.backends.rates import LocalRates, RedisRates
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.redis.streams import StreamBounds as RedisBounds
from fast_graph.backends.sealed.backend import SealedBackend, check_keys
from fast_graph.backends.sqlite.backend import SqliteBackend
from fast_graph.backends.sqlite.streams import StreamBounds as SqliteBounds
from fast_graph.engine.execution import Tools
from fast_graph.engine.worker import Worker, WorkerOptions
from fast_graph.graphs.bounded import bounded
from fast_graph.graphs.registry import GraphSource, Registry, check_graphs
from fast_graph.model.clock import system_clock
from fast_graph.model.errors import ConfigurationError
from fast_graph.model.quota import Quota
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

Authentication = Auth | params.Depends | Callable[..., Any]
"""What says who sends a request: an SDK's object, a FastAPI dependency, or an authenticate function."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Addresses that this machine alone reaches."""

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
        auth: Authentication | None = None,
        docs_url: str | None = "/docs",
    ) -> None:
        """Put the parts together; nothing is started. Raises ConfigurationError for what cannot work."""
        self.settings = settings or Settings()
        self.backend = _sealed(backend or _backend(self.settings), self.settings.encryption_keys)
        self.stores = self.backend.connect()
        served = _all_graphs(graphs or {}, graph_factory)
        self._max_attempts = _checked_attempts(max_attempts or {}, served)
        self._rates = _rates(self.settings, self.backend)
        self._bound_values()
        self.graphs = Registry(
            served,
            checkpointer=self.stores.checkpointer,
            scratch=self.stores.scratch,
            store=self.stores.store,
        )
        self._guard, self._policy = _door(auth, self.settings)
        self.outgoing = _url_rules(self.settings)
        self._build_services()
        self.worker = self._worker()
        self._docs_url = docs_url
        self._open = AsyncExitStack()

    def _bound_values(self) -> None:
        most = self.settings.max_value_bytes
        if most is not None:
            for saver in (self.stores.checkpointer, self.stores.scratch):
                saver.serde = bounded(saver.serde, most=most)

    def _build_services(self) -> None:
        stores, policy = self.stores, self._policy
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
            quota=_quota(self.settings),
            max_steps=self.settings.max_recursion_limit,
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
            max_event_bytes=settings.max_event_bytes,
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
        RunRoutes(self.runs, self.streams).add_to(router, self._guard)
        ThreadRoutes(self.threads, self.states).add_to(router, self._guard)
        ItemRoutes(self.items).add_to(router, self._guard)
        AssistantRoutes(self.assistants, self.threads).add_to(router, self._guard)
        MetaRoutes(self._docs_url, health=self.stores.health).add_to(router)

    def warn_if_exposed(self, host: str) -> None:
        """Log a warning if others than this machine reach the server at ``host``, and nobody asks who they are."""
        if not self.guarded and host not in LOOPBACK:
            log.warning("no authentication: whoever reaches %s can do everything (docs/auth.md says how to ask)", host)

    @property
    def guarded(self) -> bool:
        """Whether the routes find out who asks."""
        return self._guard is not None

    def add_limits(self, app: FastAPI) -> None:
        """Have an app refuse requests that are too large or too many. Nearest to its routes: CORS is outside."""
        settings = self.settings
        if settings.max_body_bytes is not None:
            app.user_middleware.append(Middleware(BodyLimit, most=settings.max_body_bytes))
        if self._rates is not None:
            app.user_middleware.append(Middleware(RateLimit, rates=self._rates, guarded=self.guarded))
        if settings.max_streams_per_caller is not None:
            most = settings.max_streams_per_caller
            app.user_middleware.append(Middleware(OpenStreams, most=most, guarded=self.guarded))

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._widen_executor()
            await stack.enter_async_context(self.stores)
            if self._rates is not None:
                stack.push_async_callback(self._rates.aclose)
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


def _door(auth: Authentication | None, settings: Settings) -> tuple[Guard | None, Policy]:
    """What finds out who sends a request, and what says which rows exist for them."""
    given, built_in = _given(auth), _built_in(settings)
    if given is not None and built_in is not None:
        raise ConfigurationError("auth says who sends a request, and so do FAST_GRAPH_JWT_* or FAST_GRAPH_API_KEYS")
    guard = given or built_in
    if guard is None and auth is not None:
        raise ConfigurationError("The Auth object has no @auth.authenticate, and no setting says who sends a request")
    if guard is None:
        return None, OpenPolicy()
    return guard, SdkPolicy(auth) if isinstance(auth, Auth) else OwnerPolicy(private_store=settings.private_store)


def _given(auth: Authentication | None) -> Guard | None:
    if isinstance(auth, Auth):
        authenticator = authenticator_of(auth)
        return None if authenticator is None else by_credentials(authenticator)
    if isinstance(auth, params.Depends):
        return by_dependency(auth)
    if callable(auth):
        return by_credentials(AuthenticateFunction(auth))
    if auth is not None:
        raise ConfigurationError(
            f"auth is an object of type {type(auth).__name__}: give a langgraph_sdk.Auth, a function, or Depends(...)"
        )
    return None


def _built_in(settings: Settings) -> Guard | None:
    """By API key, by token, or by whichever of them a request brings."""
    tokens, entries = _tokens(settings), parse_entries(settings.api_keys) if settings.api_keys is not None else ()
    if tokens is None and not entries:
        return None
    if tokens is None or not entries:
        return by_credentials(tokens or ApiKeys(entries))
    return by_credentials(Either(ApiKeys(entries), tokens))


def _tokens(settings: Settings) -> Tokens | None:
    if settings.jwt_jwks_url:
        keys: Keys = KeySet(settings.jwt_jwks_url, lifetime=settings.jwt_jwks_ttl, clock=time.monotonic)
    elif settings.jwt_key:
        keys = FixedKey(settings.jwt_key)
    else:
        return None
    audience = [one.strip() for one in settings.jwt_audience.split(",")] if settings.jwt_audience else None
    return Tokens(keys, issuer=settings.jwt_issuer, audience=audience, leeway=settings.jwt_leeway)


async def migrate(settings: Settings) -> str:
    """Bring the database of the settings up to date; says what was done. Raises ConfigurationError."""
    backend = _backend(settings)
    if isinstance(backend, MemoryBackend):
        return "The memory backend has nothing to migrate: set POSTGRE_DATABASE_URL or FAST_GRAPH_SQLITE_PATH"
    return await backend.connect().migrate()


def _quota(settings: Settings) -> Quota:
    return Quota(
        pending=settings.max_pending_runs,
        per_caller=settings.max_runs_per_caller,
        per_graph=settings.max_runs_per_graph,
    )


def _rates(settings: Settings, backend: Backend) -> LocalRates | RedisRates | None:
    """What counts how often callers come; nothing if they may come as they like."""
    if settings.rate_limit is None:
        return None
    rates = parse_many(settings.rate_limit)
    return RedisRates(rates, backend.redis) if isinstance(backend, PostgresRedisBackend) else LocalRates(rates)


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
