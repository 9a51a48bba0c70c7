"""Graphs that tell which process executed what, when, and in which order."""

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

BURST, PAUSE = 20, 0.1
"""How many events are said at once, and how many seconds lie between: slow enough to join in the middle."""


class Stay(TypedDict):
    """One run's stay in a node. Times are of the machine's monotonic clock, which all its processes share."""

    run_id: str
    pid: int
    began: float
    ended: float


def _joined(left: list[Stay], right: list[Stay]) -> list[Stay]:
    return [*left, *right]


class State(TypedDict, total=False):
    log: Annotated[list[Stay], _joined]
    count: int


async def count(state: State) -> State:
    """Says the numbers below ``count``, in bursts."""
    write = get_stream_writer()
    for number in range(state["count"]):
        write({"number": number, "pid": os.getpid()})
        if number % BURST == BURST - 1:
            await asyncio.sleep(PAUSE)
    return {}


async def hurry(state: State) -> State:
    """Says the numbers below ``count`` as fast as it can."""
    write = get_stream_writer()
    for number in range(state["count"]):
        write({"number": number})
        await asyncio.sleep(0)
    return {}


async def stay(state: State, config: RunnableConfig) -> State:
    """Logs a short stay."""
    began = time.monotonic()
    await asyncio.sleep(0.01)
    run_id = config["configurable"]["run_id"]
    return {"log": [Stay(run_id=run_id, pid=os.getpid(), began=began, ended=time.monotonic())]}


async def forever(state: State) -> State:
    """Waits until it is cancelled."""
    await asyncio.Event().wait()
    return {}


def chain(**nodes: Any) -> StateGraph[State]:
    """The nodes, one after the other."""
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    for source, target in zip([START, *nodes], [*nodes, END], strict=True):
        graph.add_edge(source, target)
    return graph


CLUSTER_GRAPHS: Mapping[str, StateGraph[State]] = {
    "numbers": chain(count=count),
    "hurried": chain(hurry=hurry),
    "stay": chain(stay=stay),
    "stay_forever": chain(stay=stay, forever=forever),
}
