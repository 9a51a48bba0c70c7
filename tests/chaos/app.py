"""The app that chaos befalls: graphs that write down what they do, and do what their input says."""

import asyncio
import operator
import os
import time
from typing import Annotated, Literal, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from fast_graph import fastGraph
from tests.chaos.diary import Diary

LOOK = 0.01
"""Seconds between two looks at a gate."""


class State(TypedDict, total=False):
    """``items`` grows with every step of every run on the thread; the rest is what the present run was told."""

    items: Annotated[list[str], operator.add]
    item: str
    steps: int
    at: int
    """The step that comes next. A run's input begins with 0."""
    gates: dict[str, str]
    """By step: where it waits."""
    takes: float
    """Seconds that each step takes."""
    says: int
    """How many events each step emits."""
    blocks: dict[str, float]
    """By step: seconds for which it blocks the event loop."""
    dies: dict[str, bool]
    """The steps that end their process."""


async def step(state: State, config: RunnableConfig) -> State:
    """One step: written down as it begins, and as it ends or is stopped."""
    at, item, diary = state["at"], state["item"], Diary.of_environment()
    where = config["configurable"]
    note = {"thread": where["thread_id"], "run": where["run_id"], "item": item, "step": at}
    diary.write("begin", **note)
    try:
        await _work(state, diary)
    except asyncio.CancelledError:
        diary.write("stop", **note)
        raise
    diary.write("end", **note)
    return {"at": at + 1, "items": [f"{item}.{at}"]}


async def _work(state: State, diary: Diary) -> None:
    key, write = str(state["at"]), get_stream_writer()
    for number in range(state.get("says", 1)):
        write({"item": state["item"], "step": state["at"], "number": number, "pid": os.getpid()})
        await asyncio.sleep(0)
    if state.get("dies", {}).get(key):
        os._exit(9)
    if seconds := state.get("blocks", {}).get(key):
        time.sleep(seconds)  # noqa: ASYNC251 - badly behaved on purpose
    if gate := state.get("gates", {}).get(key):
        while not diary.is_open(gate):  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(LOOK)
    await asyncio.sleep(state.get("takes", 0))


def onwards(state: State) -> Literal["step", "__end__"]:
    return "step" if state["at"] < state["steps"] else "__end__"


async def ask(state: State) -> State:
    """Adds what it is answered."""
    return {"items": [interrupt(state["item"])]}


stepping = StateGraph(State)
stepping.add_node("step", step)
stepping.add_edge(START, "step")
stepping.add_conditional_edges("step", onwards)

asking = StateGraph(State)
asking.add_node("step", step)
asking.add_node("ask", ask)
asking.add_edge(START, "step")
asking.add_edge("step", "ask")
asking.add_edge("ask", END)

app = fastGraph({"steps": stepping, "ask": asking})
