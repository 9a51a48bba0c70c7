"""Graphs that are done at once: one works, one asks, one fails."""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]
    count: Any


async def work(state: State) -> State:
    return {"log": ["worked"]}


async def ask(state: State) -> State:
    return {"log": [interrupt("Go on?")]}


async def fail(state: State) -> State:
    raise OSError("/etc/secrets could not be read")


def _of(node: Any) -> StateGraph[State]:
    graph = StateGraph(State)
    graph.add_node("work", node)
    graph.add_edge(START, "work")
    graph.add_edge("work", END)
    return graph


GRAPHS = {"tiny": _of(work), "asking": _of(ask), "failing": _of(fail)}
