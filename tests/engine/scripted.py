"""A server without HTTP whose graphs wait at gates, so that a test decides what happens when."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Sized
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import orjson
from langgraph.graph import END, START, StateGraph

from fast_graph import MemoryBackend, Runtime, Settings
from fast_graph.auth.policy import ANONYMOUS
from fast_graph.backends.memory.backend import MemoryStores
from fast_graph.model.queries import RunQuery
from fast_graph.model.records import EVERYTHING, Lease, Record, Run, Thread
from fast_graph.services.runs import RunRequest
from fast_graph.services.streams import Feed
from fast_graph.storage.signals import CancelRequested, RunsReady

NEVER = 3600.0
"""Seconds: whatever waits for a timer with this interval hangs."""


def joined(left: list[str], right: list[str]) -> list[str]:
    """The reducer of the log."""
    return [*left, *right]


class State(TypedDict):
    log: Annotated[list[str], joined]


Node = Any
"""A function of the state."""


class Gate:
    """A node that waits until the test lets it go on."""

    def __init__(self, name: str = "gate") -> None:
        self.name = name
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.entered = 0
        self.inside = 0
        self.most = 0

    async def __call__(self, state: State) -> State:
        self.entered += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.reached.set()
        try:
            await self.opened.wait()
        finally:
            self.inside -= 1
        return {"log": [self.name]}


class Stubborn(Gate):
    """A gate that is opened, not cancelled: it ignores that five times."""

    def __init__(self, name: str = "stubborn") -> None:
        super().__init__(name)
        self.cancelled = asyncio.Event()

    async def __call__(self, state: State) -> State:
        self.entered += 1
        self.reached.set()
        for _ in range(5):
            try:
                await self.opened.wait()
                break
            except asyncio.CancelledError:
                self.cancelled.set()
        await self.opened.wait()
        return {"log": [self.name]}


class Count:
    """A node that counts how often it was entered, and notes its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entered = 0

    async def __call__(self, state: State) -> State:
        self.entered += 1
        return {"log": [self.name]}


class ThreadGate:
    """A gate for a plain function, which occupies a thread."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, state: State) -> State:
        self._loop.call_soon_threadsafe(self.reached.set)
        self.opened.wait()
        return {"log": ["thread"]}


def note(name: str) -> Node:
    """A node that notes its name and no more."""

    async def act(state: State) -> State:
        return {"log": [name]}

    return act


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


@dataclass(frozen=True)
class ScriptedBackend:
    """Stores that a test has made, and may give to more than one server."""

    stores: MemoryStores
    name: str = "scripted"

    def connect(self) -> MemoryStores:
        """The stores."""
        return self.stores


class House:
    """A running server, and what its callers do."""

    def __init__(self, runtime: Runtime, stores: MemoryStores) -> None:
        self.runtime = runtime
        self.stores = stores

    def new_id(self) -> str:
        """An id nobody has."""
        return str(uuid4())

    async def create(self, thread_id: str | None = "thread", graph: str = "graph", **request: Any) -> Run:
        """A run in the background; its thread is made if need be."""
        return await self.runtime.runs.create(ANONYMOUS, thread_id, asked(graph, request), run_id=self.new_id())

    async def start(self, thread_id: str | None = "thread", graph: str = "graph", **request: Any) -> Feed:
        """A run, and a view of it."""
        return await self.runtime.streams.start(ANONYMOUS, thread_id, asked(graph, request))

    async def join(self, run: Run, *, after: int | None = None) -> Feed:
        """A view of a run."""
        return await self.runtime.streams.join(ANONYMOUS, run.thread_id, run.run_id, after=after)

    async def result(self, run: Run) -> Any:
        """What a client who waits for the run is told."""
        async with await self.join(run) as feed:
            return await told(feed)

    async def wait(self, thread_id: str | None = "thread", graph: str = "graph", **request: Any) -> Any:
        """A run, and what a client who waits for it is told."""
        async with await self.start(thread_id, graph, **request) as feed:
            return await told(feed)

    async def cancel(self, run: Run, action: Any = "interrupt") -> None:
        """Ask a run to stop."""
        await self.runtime.runs.cancel(ANONYMOUS, run.thread_id, [run.run_id], action)

    async def run(self, run: Run) -> Run:
        """The run's row as it is now."""
        return await self.stores.runs.get(run.run_id, thread_id=None, scope=EVERYTHING)

    async def runs(self, thread_id: str = "thread") -> Sequence[Run]:
        """The thread's runs, oldest first."""
        query = RunQuery(thread_id=thread_id, limit=1000, sort_order="asc")
        return (await self.stores.runs.search(query, scope=EVERYTHING)).rows

    async def thread(self, thread_id: str = "thread") -> Thread:
        """The thread's row as it is now."""
        return await self.stores.threads.get(thread_id, scope=EVERYTHING)

    async def log(self, thread_id: str = "thread") -> list[str]:
        """What the thread's latest checkpoint has in its log."""
        state = await self.runtime.states.get(ANONYMOUS, thread_id, checkpoint=None, subgraphs=False)
        found: list[str] = state["values"].get("log", [])
        return found

    def left(self) -> dict[str, int]:
        """What is kept for runs and threads, and how much of it; what is not kept is left out."""
        ledger, saver = self.stores.ledger, self.stores.checkpointer
        kept: dict[str, Sized] = {
            "threads": ledger.threads,
            "runs": ledger.runs,
            "runs_of": ledger.runs_of,
            "inflight": ledger.inflight,
            "claims": ledger.claims,
            "tokens": ledger.tokens,
            "wishes": ledger.wishes,
            "logs": self.stores.streams._logs,  # noqa: SLF001
            "kept logs": self.stores.streams._kept,  # noqa: SLF001
            "lanes": ledger.schedule._lanes,  # noqa: SLF001
            "delayed": ledger.schedule._delayed,  # noqa: SLF001
            "checkpointed threads": saver._threads,  # noqa: SLF001
            "checkpointed runs": saver._thread_of_run,  # noqa: SLF001
            "executions": self.runtime.worker.running,
        }
        return {name: len(rows) for name, rows in kept.items() if rows}

    async def ring(self, *cancelled: Run) -> None:
        """Make the worker look: at the queue, and at the wishes for these runs."""
        await self.stores.signals.send(RunsReady())
        await self.stores.signals.send(CancelRequested([run.run_id for run in cancelled]))

    def lease(self, run: Run) -> Lease:
        """The lease under which the run is executed now."""
        return self.runtime.worker.running[run.run_id].lease

    async def ended(self, run: Run) -> None:
        """Waits until the worker has let go of the run, whatever became of it."""
        await until(lambda: run.run_id not in self.runtime.worker.running)


def asked(graph: str, request: Mapping[str, Any]) -> RunRequest:
    """A request that works without being told anything."""
    return RunRequest(**{"assistant_id": graph, "input": {"log": []}, "if_not_exists": "create", **request})


async def until(condition: Callable[[], object]) -> None:
    """Lets others go on until the condition holds."""
    while not condition():  # noqa: ASYNC110 - nobody announces what tests are curious about
        await asyncio.sleep(0)


async def settled() -> None:
    """Lets everything that can go on now do so: whoever waits afterwards waits for somebody else."""
    for _ in range(100):
        await asyncio.sleep(0)


async def told(feed: Feed) -> Any:
    """The JSON that a waiting client gets; hangs unless the end of the run wakes it."""
    result = await feed.result(patience=NEVER)
    assert result is not None
    return orjson.loads(result)


async def records(feed: Feed) -> list[Record]:
    """Everything the run says until its end."""
    async with feed:
        return [record async for batch in feed.batches() for record in batch]


def values_of(found: Sequence[Record]) -> list[list[str]]:
    """The log at each of the values events."""
    return [orjson.loads(record.data)["log"] for record in found if record.name == "values"]


@asynccontextmanager
async def house(
    graphs: Mapping[str, object] | object, *, stores: MemoryStores | None = None, **changes: Any
) -> AsyncIterator[House]:
    """A server without HTTP, on which nothing happens by the clock."""
    named = graphs if isinstance(graphs, Mapping) else {"graph": graphs}
    stores = stores or MemoryBackend().connect()
    settings = Settings(**{"poll": NEVER, "heartbeat": NEVER, "lease": 2 * NEVER, "drain": NEVER, **changes})
    async with Runtime(named, backend=ScriptedBackend(stores), settings=settings) as runtime:
        yield House(runtime, stores)
