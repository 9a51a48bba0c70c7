"""The graphs that are served, by name: what users hand over, and the bound copies that runs use."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any, cast, get_type_hints

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph_sdk.runtime import AccessContext, _ExecutionRuntime, _ReadRuntime

from fast_graph.model.errors import ConfigurationError, NotFoundError
from fast_graph.model.user import User

Graph = Pregel[Any, Any, Any, Any]
Factory = Callable[..., Any]
GraphSource = object
"""A compiled graph, a ``StateGraph`` builder, a functional-API entrypoint, or a factory of one of these."""

DEFAULT_NAME = "LangGraph"


class Registry:
    """Opens the graph of a name, bound to the server's checkpointer and store.

    The users' own objects stay as they are. A factory is called for every use, so that it can build the graph
    by the run's configuration; it may return the graph, await it, or manage it as a context.
    """

    def __init__(
        self,
        graphs: Mapping[str, GraphSource],
        *,
        checkpointer: BaseCheckpointSaver[Any],
        store: BaseStore,
        scratch: BaseCheckpointSaver[Any] | None = None,
    ) -> None:
        """``scratch`` keeps the checkpoints of temporary threads; without it, ``checkpointer`` does."""
        self._checkpointer = checkpointer
        self._scratch = scratch or checkpointer
        self._store = store
        self._bound: dict[tuple[str, bool], Graph] = {}
        self._factories: dict[str, tuple[Factory, tuple[str, ...]]] = {}
        for name, source in graphs.items():
            graph = _compiled(source)
            if graph is not None:
                for temporary in (False, True):
                    self._bound[name, temporary] = self._bind(name, graph, temporary=temporary)
            else:
                self._factories[name] = (cast(Factory, source), _factory_arguments(name, source))
        self.names = tuple(graphs)

    @asynccontextmanager
    async def open(
        self,
        name: str,
        access: AccessContext,
        config: RunnableConfig | None = None,
        context: Any = None,
        *,
        temporary: bool = False,
    ) -> AsyncIterator[Graph]:
        """The graph, for one use, perhaps on a temporary thread. Raises NotFoundError for an unknown name."""
        graph = self._bound.get((name, temporary))
        if graph is not None:
            yield graph
            return
        if name not in self._factories:
            raise NotFoundError(f"Graph '{name}' not found. Expected one of: {sorted(self.names)}")
        async with AsyncExitStack() as stack:
            made = await self._build(name, access, config or {}, context, stack)
            yield self._bind(name, made, temporary=temporary)

    async def _build(
        self, name: str, access: AccessContext, config: RunnableConfig, context: Any, stack: AsyncExitStack
    ) -> Graph:
        factory, wanted = self._factories[name]
        given = {"config": config, "runtime": self._runtime(access, context, _user(config))}
        made: Any = factory(*(given[kind] for kind in wanted))
        if isinstance(made, AbstractAsyncContextManager):
            made = await stack.enter_async_context(made)
        elif isinstance(made, AbstractContextManager):
            made = stack.enter_context(made)
        elif isinstance(made, Awaitable):
            made = await made
        graph = _compiled(made)
        if graph is None:
            raise ConfigurationError(f"The factory of graph '{name}' returned {type(made).__name__}, which is no graph")
        return graph

    def _runtime(self, access: AccessContext, context: Any, user: Any) -> object:
        if access == "threads.create_run":
            return _ExecutionRuntime(access_context=access, store=self._store, context=context, user=user)
        return _ReadRuntime(access_context=access, store=self._store, user=user)

    def _bind(self, name: str, graph: Graph, *, temporary: bool) -> Graph:
        known_as = name if graph.name == DEFAULT_NAME else graph.name
        saver = self._scratch if temporary else self._checkpointer
        return graph.copy({"checkpointer": saver, "store": self._store, "name": known_as})


def _user(config: RunnableConfig) -> User | None:
    """Who sent the request, as the config says, be it one that was stored."""
    found = config.get("configurable", {}).get("langgraph_auth_user")
    return found if found is None or isinstance(found, User) else User(found)


def check_graphs(graphs: Mapping[Any, GraphSource]) -> None:
    """Refuse, before anything starts, what cannot be served. Raises ConfigurationError."""
    for name, source in graphs.items():
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError(f"A graph needs a name that is a non-empty string, not {name!r}")
        if "/" in name:
            raise ConfigurationError(f"The graph name {name!r} must not contain '/': it is a part of URLs")
        if _compiled(source) is None:
            _factory_arguments(name, source)


def _compiled(source: object) -> Graph | None:
    """The compiled graph, if the object is one or can be made one."""
    if isinstance(source, Pregel):
        return source
    if isinstance(source, StateGraph):
        return cast(Graph, source.compile())
    return None


def _factory_arguments(name: str, source: object) -> tuple[str, ...]:
    """What the factory's parameters, in order, want: ``config`` or ``runtime``."""
    if not callable(source) or isinstance(source, type):
        raise ConfigurationError(
            f"Graph '{name}' is {_kind(source)}: pass a compiled graph, a StateGraph, an entrypoint, or a function "
            "that returns one"
        )
    required = [
        parameter
        for parameter in inspect.signature(source).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if len(required) > 2:
        raise ConfigurationError(
            f"The factory of graph '{name}' wants {len(required)} arguments: at most config and runtime are given"
        )
    hints = _hints(source)
    return tuple(_wanted(parameter, hints.get(parameter.name)) for parameter in required)


def _wanted(parameter: inspect.Parameter, hint: object) -> str:
    described = f"{parameter.name} {hint}".lower()
    return "runtime" if "runtime" in described else "config"


def _hints(source: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(inspect.unwrap(source))
    except (NameError, TypeError):
        return {}


def _kind(source: object) -> str:
    return f"the class {source.__name__}" if isinstance(source, type) else f"an object of type {type(source).__name__}"
