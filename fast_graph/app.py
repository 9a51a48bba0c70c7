"""``fastGraph``: graphs in, a complete FastAPI app out."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, cast

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.routing import Match

from fast_graph.api.headers import SecurityHeaders
from fast_graph.api.routing import EncodedSlashes
from fast_graph.graphs.registry import GraphSource
from fast_graph.model.errors import ConfigurationError
from fast_graph.runtime import Authentication, GraphFactory, Runtime
from fast_graph.settings import Settings
from fast_graph.storage.backend import Backend

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]

EXPOSED = ["x-pagination-total", "x-pagination-next", "content-location", "location", "retry-after"]
"""Headers that pages of other origins may read: paging, where to come back to, and when."""

SAMPLE_IDS = ("some_id", "1", "00000000-0000-0000-0000-000000000000")
"""Ids as different routes may want them."""

DESCRIPTION = "LangGraph graphs behind the API that RemoteGraph, langgraph_sdk and LangGraph Studio speak."


def fastGraph(
    graphs: Mapping[str, GraphSource] | None = None,
    *,
    graph_factory: GraphFactory | None = None,
    backend: Backend | None = None,
    settings: Settings | None = None,
    auth: Authentication | None = None,
    max_attempts: Mapping[str, int] | None = None,
    custom_lifespan: Lifespan | None = None,
    app: FastAPI | None = None,
    **fastapi_options: Any,
) -> FastAPI:
    """A FastAPI app that serves the graphs.

    Args:
        graphs: By name, each a compiled graph, a ``StateGraph``, a functional-API entrypoint, or a factory: a
            function, coroutine function or (async) context manager that takes nothing, the run's config, or a
            ``langgraph_sdk.runtime.ServerRuntime``. None of them is changed.
        graph_factory: Called once; returns more graphs by name.
        backend: Where everything is kept; when left out, the environment says: memory, SQLite, or PostgreSQL and Redis.
        settings: In place of those read from the environment.
        auth: Who sends a request, and what they may do: a ``langgraph_sdk.Auth`` object, an authenticate function as
            such objects take them, or a FastAPI dependency as ``Depends(...)``. When left out, settings may ask for
            tokens or API keys; see docs/auth.md.
        max_attempts: By graph, how often a run is tried whose worker is lost; 1 is at most once. Others are tried as
            often as ``FAST_GRAPH_MAX_ATTEMPTS`` says.
        custom_lifespan: A context manager around the server's whole life: entered before it starts, left after
            it has stopped. Gets the app.
        app: An app of yours to add the server to, instead of a new one. Its routes, middleware and lifespan stay.
        **fastapi_options: Passed on to ``FastAPI``.

    Raises:
        ConfigurationError: What is given cannot work together; the text says what to change.
    """
    if "lifespan" in fastapi_options:
        raise ConfigurationError("Pass the lifespan as custom_lifespan: the server has one of its own around it")
    if app is not None and fastapi_options:
        raise ConfigurationError(f"app is given, so {', '.join(fastapi_options)} must be set on it, not here")
    docs_url = app.docs_url if app is not None else fastapi_options.get("docs_url", "/docs")
    runtime = Runtime(
        graphs,
        graph_factory=graph_factory,
        backend=backend,
        settings=settings,
        max_attempts=max_attempts,
        auth=auth,
        docs_url=docs_url,
    )
    if app is None:
        app = _new_app(runtime.settings, fastapi_options, guarded=runtime.guarded)
    else:
        _check_paths(app, runtime)
    runtime.add_routes(app.router)
    runtime.add_limits(app)
    app.add_middleware(EncodedSlashes)
    app.state.fast_graph = runtime
    _wrap_lifespan(app, runtime, custom_lifespan)
    return app


def _new_app(settings: Settings, options: Mapping[str, Any], *, guarded: bool) -> FastAPI:
    app = FastAPI(**{"title": "FastGraph", "description": DESCRIPTION, **options})
    app.add_middleware(
        CORSMiddleware,
        allow_origins=allowed_origins(settings, guarded=guarded),
        allow_methods=list(settings.cors_methods),
        allow_headers=list(settings.cors_headers),
        allow_credentials=settings.cors_credentials,
        expose_headers=EXPOSED,
        max_age=settings.cors_max_age,
        allow_private_network=True,
    )
    app.add_middleware(SecurityHeaders)
    return app


def allowed_origins(settings: Settings, *, guarded: bool) -> list[str]:
    """A server that checks who asks is open to those pages alone that somebody has named."""
    named = "cors_origins" in settings.model_fields_set
    return list(settings.cors_origins) if named or not guarded else []


def _check_paths(app: FastAPI, runtime: Runtime) -> None:
    """Refuse an app whose own routes would hide the server's. Raises ConfigurationError."""
    for route in runtime.router.routes:
        if isinstance(route, APIRoute) and route.path != "/":
            for method in route.methods or ():
                _check_free(app, method, route.path)


def _check_free(app: FastAPI, method: str, path: str) -> None:
    paths = [re.sub(r"\{\w+\}", sample, path) for sample in SAMPLE_IDS]
    scopes = [{"type": "http", "method": method, "path": one, "root_path": "", "headers": []} for one in paths]
    for route in app.router.routes:
        if any(route.matches({**scope, "app": app})[0] is Match.FULL for scope in scopes):
            theirs = getattr(route, "path", "") or "a router it includes"
            raise ConfigurationError(
                f"The app answers {method} {path} itself ({theirs}), but the server needs it: move it"
            )


def _wrap_lifespan(app: FastAPI, runtime: Runtime, custom: Lifespan | None) -> None:
    theirs = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            if custom is not None:
                await stack.enter_async_context(custom(app))
            state = await stack.enter_async_context(theirs(app))
            await stack.enter_async_context(runtime)
            yield state

    app.router.lifespan_context = cast("Any", lifespan)
