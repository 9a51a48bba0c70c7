"""Graphs for what the recorded cases' graphs do not do: wait for a test, ask twice, loop, fail, look around."""

import operator
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict

from tests.protocol.contract.graphs import Builder, HitlState, after, ask, chain, contract_graphs
from tests.protocol.doors import Doors


class DoorState(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    door: str | None


class AskState(TypedDict, total=False):
    answers: Annotated[list[str], operator.add]


class LoopState(TypedDict, total=False):
    count: int


class TalkState(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]


class SeenState(TypedDict, total=False):
    seen: dict[str, Any]


class Settings(TypedDict, total=False):
    tone: str
    pace: str


class StrangeError(Exception):
    """Of a type that no client knows."""


def door_graph(doors: Doors) -> Builder:
    """Logs, waits at the state's door, logs again."""

    def before(state: DoorState) -> DoorState:
        return {"log": ["before"]}

    async def wait(state: DoorState) -> DoorState:
        await doors.go_through(state.get("door"))
        return {"log": ["behind"]}

    return chain(DoorState, {"before": before, "wait": wait})


def ask_twice() -> Builder:
    """Two nodes ask at the same time."""
    graph: Builder = StateGraph(AskState)
    for name in ("left", "right"):
        graph.add_node(name, _asker(name))
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    return graph


def _asker(name: str) -> Any:
    def ask(state: AskState) -> AskState:
        return {"answers": [f"{name}: {interrupt(name)}"]}

    return ask


def loop() -> Builder:
    """Goes round and round."""

    def count(state: LoopState) -> LoopState:
        return {"count": state.get("count", 0) + 1}

    def again(state: LoopState) -> Literal["count"]:
        return "count"

    graph: Builder = StateGraph(LoopState)
    graph.add_node("count", count)
    graph.add_edge(START, "count")
    graph.add_conditional_edges("count", again)
    return graph


def strange(state: LoopState) -> LoopState:
    raise StrangeError("the password is 1234")


def outer() -> Builder:
    """Its subgraph asks."""
    return chain(HitlState, {"inner": chain(HitlState, {"ask": ask, "after": after}).compile()})


def say(state: TalkState) -> dict[str, Any]:
    return {"messages": [AIMessage("said in one piece", id="whole")]}


def look(state: SeenState, config: RunnableConfig, runtime: Runtime[Settings]) -> SeenState:
    """What a node can see of how it was called."""
    configurable = config.get("configurable", {})
    seen = {
        "context": dict(runtime.context or {}),
        "configurable": {key: value for key, value in configurable.items() if not key.startswith("__")},
        "metadata": dict(config.get("metadata") or {}),
        "tags": list(config.get("tags") or []),
    }
    return {"seen": seen}


def broken() -> Any:
    """A factory that cannot make its graph."""
    raise StrangeError("the password is 1234")


def protocol_graphs(doors: Doors) -> dict[str, Any]:
    """All graphs, by name."""
    return {
        **contract_graphs(),
        "door": door_graph(doors).compile(),
        "ask_twice": ask_twice().compile(),
        "outer": outer().compile(),
        "loop": loop().compile(),
        "strange": chain(LoopState, {"strange": strange}).compile(),
        "say": chain(TalkState, {"say": say}).compile(),
        "look": chain(SeenState, {"look": look}, Settings).compile(),
        "broken": broken,
    }
