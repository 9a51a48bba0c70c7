"""Graphs that are run on the checkpointer."""

from collections.abc import Callable
from typing import Annotated, Any

from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

Graph = CompiledStateGraph[Any, Any, Any, Any]
Node = Callable[[Any], Any]


def extend(old: list[Any], new: list[Any]) -> list[Any]:
    return [*(old or []), *new]


def gather(old: list[Any] | None, writes: list[list[Any]]) -> list[Any]:
    return [*(old or []), *(item for write in writes for item in write)]


class Log(TypedDict):
    log: Annotated[list[Any], extend]


class DeltaLog(TypedDict):
    log: Annotated[list[Any], DeltaChannel(gather, list)]


def chain(saver: BaseCheckpointSaver[Any] | None, *nodes: Node, state: type[Any] = Log) -> Graph:
    """The nodes, one after the other."""
    builder: Any = StateGraph(state)
    names = [f"node-{number}" for number in range(len(nodes))]
    for name, node in zip(names, nodes, strict=True):
        builder.add_node(name, node)
    for earlier, later in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(earlier, later)
    graph: Graph = builder.compile(checkpointer=saver)
    return graph


def says(word: Any) -> Callable[[Any], Any]:
    """A node that adds a word."""
    return lambda state: {"log": [word]}


def asks(state: Any) -> Any:
    """A node that needs an answer."""
    return {"log": [interrupt("well?")]}
