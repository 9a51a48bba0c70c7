"""What may be handed over as a graph, and what runs get of it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.func import entrypoint
from langgraph.pregel import Pregel
from langgraph_sdk.auth.types import BaseUser
from langgraph_sdk.runtime import ServerRuntime

from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from fast_graph.backends.memory.items import MemoryStore
from fast_graph.graphs.registry import Registry, check_graphs
from fast_graph.model.errors import ConfigurationError, NotFoundError
from tests.unit.graphs.sources import builder, compiled

CONFIG: RunnableConfig = {"configurable": {"thread_id": "t", "model": "small"}}


def registry(**graphs: object) -> Registry:
    check_graphs(graphs)
    return Registry(graphs, checkpointer=MemoryCheckpointer(lambda run_id, token: True), store=MemoryStore())


async def answer(served: Registry, name: str = "g") -> Any:
    async with served.open(name, "threads.create_run", CONFIG) as graph:
        return await graph.ainvoke({"text": "hi"}, CONFIG)


@entrypoint()
async def louder(given: dict[str, str]) -> dict[str, str]:
    return {"text": given["text"].upper()}


class Calls:
    """Factories of every shape, and what they were called with."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.left: list[str] = []

    def nothing(self) -> object:
        self.got.append(())
        return compiled()

    def config(self, config: RunnableConfig) -> object:
        self.got.append(config)
        return compiled()

    async def coroutine(self, config: RunnableConfig) -> object:
        self.got.append(config)
        return builder()

    def runtime(self, runtime: "ServerRuntime[Any]") -> object:
        self.got.append(runtime)
        return compiled()

    def both(self, config: RunnableConfig, runtime: "ServerRuntime[Any]") -> object:
        self.got.append((config, runtime))
        return compiled()

    def turned(self, anything: "ServerRuntime[Any]", settings: RunnableConfig) -> object:
        self.got.append((settings, anything))
        return compiled()

    @asynccontextmanager
    async def managed(self, config: RunnableConfig) -> AsyncIterator[object]:
        self.got.append(config)
        yield compiled()
        self.left.append("managed")

    @contextmanager
    def managed_plainly(self) -> Iterator[object]:
        self.got.append(())
        yield builder()
        self.left.append("managed_plainly")


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.mark.parametrize("source", [compiled(), builder(), louder], ids=["compiled", "builder", "entrypoint"])
async def test_a_graph_answers(source: object) -> None:
    assert (await answer(registry(g=source)))["text"] == "HI"


@pytest.mark.parametrize(
    "shape", ["nothing", "config", "coroutine", "runtime", "both", "turned", "managed", "managed_plainly"]
)
async def test_a_factory_of_any_shape_makes_the_graph(calls: Calls, shape: str) -> None:
    assert await answer(registry(g=getattr(calls, shape))) == {"text": "HI"}
    assert len(calls.got) == 1


@pytest.mark.parametrize("make", [lambda: compiled(), partial(lambda x: x, compiled()), lambda config: louder])
async def test_any_callable_may_be_a_factory(make: Callable[..., object]) -> None:
    assert (await answer(registry(g=make)))["text"] == "HI"


async def test_an_object_that_can_be_called_may_be_a_factory() -> None:
    class Maker:
        def __call__(self, config: RunnableConfig) -> object:
            return compiled(name=config["configurable"]["model"])

    async with registry(g=Maker()).open("g", "threads.create_run", CONFIG) as graph:
        assert graph.name == "small"


@pytest.mark.parametrize("shape", ["config", "coroutine", "managed"])
async def test_a_factory_gets_the_config_of_the_use(calls: Calls, shape: str) -> None:
    async with registry(g=getattr(calls, shape)).open("g", "threads.create_run", CONFIG):
        assert calls.got == [CONFIG]


@pytest.mark.parametrize("shape", ["both", "turned"])
async def test_a_factory_gets_each_argument_in_its_place(calls: Calls, shape: str) -> None:
    async with registry(g=getattr(calls, shape)).open("g", "threads.read", CONFIG):
        [(config, runtime)] = calls.got
        assert config == CONFIG
        assert runtime.access_context == "threads.read"


async def test_a_factory_gets_an_empty_config_if_there_is_none(calls: Calls) -> None:
    async with registry(g=calls.config).open("g", "assistants.read"):
        assert calls.got == [{}]


async def test_the_runtime_of_a_run_has_its_context(calls: Calls) -> None:
    async with registry(g=calls.runtime).open("g", "threads.create_run", CONFIG, {"user": "ann"}):
        [runtime] = calls.got
        assert runtime.execution_runtime is runtime
        assert runtime.context == {"user": "ann"}


@pytest.mark.parametrize("access", ["threads.update", "threads.read", "assistants.read"])
async def test_the_runtime_of_any_other_use_executes_nothing(calls: Calls, access: Any) -> None:
    async with registry(g=calls.runtime).open("g", access):
        [runtime] = calls.got
        assert runtime.access_context == access
        assert runtime.execution_runtime is None


async def test_a_managed_graph_is_left_after_the_use(calls: Calls) -> None:
    served = registry(a=calls.managed, b=calls.managed_plainly)
    async with served.open("a", "threads.read"), served.open("b", "threads.read"):
        assert calls.left == []
    assert calls.left == ["managed_plainly", "managed"]


async def test_a_factory_is_called_for_every_use_and_not_before(calls: Calls) -> None:
    served = registry(g=calls.nothing)
    assert calls.got == []
    for _ in range(3):
        async with served.open("g", "threads.read"):
            pass
    assert len(calls.got) == 3


async def test_defaults_of_a_factory_stay() -> None:
    def make(name: str = "mine", *rest: Any, **options: Any) -> object:
        return compiled(name=name)

    async with registry(g=make).open("g", "threads.read", CONFIG) as graph:
        assert graph.name == "mine"


async def test_annotations_that_mean_nothing_are_no_obstacle() -> None:
    def make(runtime: "NoSuchType") -> object:  # type: ignore[name-defined] # noqa: F821
        return compiled(name=runtime.access_context)

    async with registry(g=make).open("g", "threads.read") as graph:
        assert graph.name == "threads.read"


@pytest.mark.parametrize("source", [compiled(), louder], ids=["compiled", "entrypoint"])
async def test_the_users_graph_is_not_changed(source: "Pregel[Any, Any, Any, Any]") -> None:
    before = dict(vars(source))
    served = registry(g=source)
    await answer(served)
    async with served.open("g", "threads.read") as graph:
        assert graph is not source
        assert isinstance(graph.checkpointer, MemoryCheckpointer)
        assert isinstance(graph.store, MemoryStore)
    assert vars(source) == before
    assert source.checkpointer is None
    assert source.store is None


async def test_a_factorys_graph_is_not_changed_either() -> None:
    source = compiled()
    await answer(registry(g=lambda: source))
    assert source.checkpointer is None
    assert source.name == "LangGraph"


async def test_a_graph_without_a_name_is_known_by_the_one_it_is_served_under() -> None:
    served = registry(unnamed=compiled(), named=compiled(name="own"))
    async with served.open("unnamed", "threads.read") as unnamed, served.open("named", "threads.read") as named:
        assert (unnamed.name, named.name) == ("unnamed", "own")


async def test_one_graph_may_be_served_under_two_names() -> None:
    graph = compiled()
    served = registry(one=graph, two=graph)
    assert served.names == ("one", "two")
    assert await answer(served, "one") == await answer(served, "two")


async def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"Graph 'c' not found. Expected one of: \['a', 'b'\]"):
        async with registry(b=compiled(), a=lambda: compiled()).open("c", "threads.read"):
            pass


class SomeState(TypedDict):
    text: str


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SomeState, "the class SomeState"),
        (BaseUser, "the class BaseUser"),
        (3, "an object of type int"),
        ("module:graph", "an object of type str"),
        (None, "an object of type NoneType"),
        (lambda a, b, c: compiled(), "wants 3 arguments"),
    ],
)
def test_what_cannot_be_a_graph_is_refused_by_name(source: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        check_graphs({"mine": source})
    assert "'mine'" in str(refused.value)


@pytest.mark.parametrize("name", ["", "  ", "\n", 3, None, ("a",)])
def test_a_graph_needs_a_name(name: object) -> None:
    with pytest.raises(ConfigurationError, match="non-empty string"):
        check_graphs({name: compiled()})


def test_a_name_has_no_slash() -> None:
    with pytest.raises(ConfigurationError, match="'a/b' must not contain '/'"):
        check_graphs({"a/b": compiled()})


async def no_graph() -> object:
    return {"not": "a graph"}


@asynccontextmanager
async def manages_no_graph() -> AsyncIterator[object]:
    yield 3


@pytest.mark.parametrize(("make", "said"), [(lambda: None, "NoneType"), (no_graph, "dict"), (manages_no_graph, "int")])
async def test_a_factory_that_returns_no_graph_is_told_what_it_returned(make: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"The factory of graph 'g' returned {said}, which is no graph"):
        await answer(registry(g=make))


async def test_what_a_factory_raises_comes_through_and_what_it_opened_is_closed(calls: Calls) -> None:
    @asynccontextmanager
    async def make() -> AsyncIterator[object]:
        try:
            yield compiled()
        finally:
            calls.left.append("closed")

    with pytest.raises(ZeroDivisionError):
        async with registry(g=make).open("g", "threads.read"):
            _ = 1 / 0
    assert calls.left == ["closed"]
