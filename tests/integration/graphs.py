"""Graphs that behave well, badly and worse, for servers under test."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypedDict

from langgraph.config import get_stream_writer
from langgraph.errors import GraphDrained, GraphInterrupt, ParentCommand
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

MEBIBYTE = 1024 * 1024
Node = Any
"""A function of the state, or a compiled graph."""


def _joined(left: list[Any], right: list[Any]) -> list[Any]:
    return [*left, *right]


class State(TypedDict, total=False):
    log: Annotated[list[Any], _joined]
    count: int
    size: int
    value: Any
    how: str
    where: str


def chain(**nodes: Node) -> StateGraph[State]:
    """The nodes, one after the other."""
    graph = StateGraph(State)
    before = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    graph.add_edge(before, END)
    return graph


async def tokens(state: State) -> State:
    """Says ``count`` tokens, each with its place."""
    write = get_stream_writer()
    for index in range(state["count"]):
        write({"index": index})
        await asyncio.sleep(0)
    return {"log": ["said"]}


async def done(state: State) -> State:
    return {"log": ["done"]}


async def forever(state: State) -> State:
    """Waits until it is cancelled."""
    get_stream_writer()("waiting")
    await asyncio.Event().wait()
    return {}


async def flood(state: State) -> State:
    """Says ``size`` mebibytes in pieces of 64 KiB."""
    write = get_stream_writer()
    for _ in range(state["size"] * 16):
        write("x" * 65_536)
        await asyncio.sleep(0)
    return {"log": ["flooded"]}


async def large(state: State) -> State:
    return {"value": "x" * (state["size"] * MEBIBYTE)}


async def slowly(state: State) -> State:
    """Says nothing for ``count`` seconds."""
    await asyncio.sleep(state["count"])
    return {"log": ["slept"]}


class MaskedError(Exception):
    """An exception whose text is nobody's business."""


class Beyond(BaseException):
    """Not even an Exception."""


class UnspeakableError(ValueError):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("there are no words")

    __repr__ = __str__


def _group() -> BaseException:
    return ExceptionGroup("several", [ValueError("one"), MaskedError("two")])


def _base_group() -> BaseException:
    return BaseExceptionGroup("several", [Beyond("one"), ValueError("two")])


RAISED: Mapping[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("a value is wrong"),
    "masked": lambda: MaskedError("secret"),
    "surrogate": lambda: ValueError("\ud800"),
    "huge": lambda: ValueError("x" * MEBIBYTE),
    "unspeakable": UnspeakableError,
    "group": _group,
    "base group": _base_group,
    "beyond": lambda: Beyond("beyond"),
    "stop iteration": StopIteration,
    "stop async iteration": StopAsyncIteration,
    "cancelled": asyncio.CancelledError,
    "timeout": TimeoutError,
    "recursion": lambda: RecursionError("too deep"),
    "memory": MemoryError,
    "interrupt": GraphInterrupt,
    "drained": GraphDrained,
    "parent": lambda: ParentCommand(Command(goto="nowhere")),
    "assertion": AssertionError,
    "os": lambda: OSError(2, "No such file"),
}


def _raising(name: str) -> tuple[Node, Node]:
    async def act(state: State) -> State:
        if state["where"] == name:
            make = RAISED[state["how"]]
            raise make()
        return {"log": [name]}

    def act_in_thread(state: State) -> State:
        if state["where"] == name:
            make = RAISED[state["how"]]
            raise make()
        return {"log": [name]}

    return act, act_in_thread


def raising(*, sync: bool) -> StateGraph[State]:
    """Raises ``how`` at the node ``where``: first, middle, inner (in a subgraph) or last."""
    node = {name: _raising(name)[sync] for name in ("first", "middle", "inner", "last")}
    inner = chain(inner=node["inner"]).compile()
    return chain(first=node["first"], middle=node["middle"], below=inner, last=node["last"])


class Opaque:
    """A value without a JSON form."""


async def unserialisable(state: State) -> State:
    """Lets out an opaque value, in the way that ``how`` says."""
    match state["how"]:
        case "returned":
            return {"value": Opaque()}
        case "nested":
            return {"value": {"deep": [Opaque()]}}
        case "written":
            get_stream_writer()(Opaque())
        case "interrupt":
            interrupt(Opaque())
    return {}


async def ask(state: State) -> State:
    return {"log": [interrupt("go on?")]}


def block(state: State) -> State:
    """Occupies a thread for ``count`` seconds."""
    time.sleep(state["count"])
    return {"log": ["blocked"]}


async def process(state: State) -> State:
    return {"value": os.getpid()}


GRAPHS: Mapping[str, object] = {
    "tokens": chain(tokens=tokens, done=done),
    "forever": chain(done=done, forever=forever),
    "flood": chain(flood=flood),
    "large": chain(large=large),
    "slowly": chain(slowly=slowly),
    "raising": raising(sync=False),
    "raising_in_thread": raising(sync=True),
    "unserialisable": chain(unserialisable=unserialisable),
    "ask": chain(ask=ask),
    "block": chain(block=block),
    "process": chain(process=process),
}
