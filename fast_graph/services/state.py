"""Use cases around the state of threads: now, then, and edited."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import StateSnapshot, StateUpdate

from fast_graph.auth.policy import Caller, Policy
from fast_graph.graphs.config import reading_config, to_command
from fast_graph.graphs.failures import describe
from fast_graph.graphs.registry import Graph, Registry
from fast_graph.graphs.snapshot import latest, place, state_json
from fast_graph.graphs.stream import checkpoint_of
from fast_graph.model.errors import FastGraphError, NotFoundError, RefusedError
from fast_graph.model.records import Json, Scope, Thread
from fast_graph.storage.signals import RunsReady, Signals
from fast_graph.storage.threads import ThreadStore

EMPTY: Json = {
    "values": {},
    "next": [],
    "tasks": [],
    "metadata": None,
    "created_at": None,
    "checkpoint": None,
    "parent_checkpoint": None,
    "interrupts": [],
    "checkpoint_id": None,
    "parent_checkpoint_id": None,
}
"""The state of a thread on which no graph has run."""


class States:
    """Reading and editing the checkpoints of threads, through the graph that made them."""

    def __init__(
        self,
        threads: ThreadStore,
        checkpointer: BaseCheckpointSaver[Any],
        *,
        signals: Signals,
        graphs: Registry,
        policy: Policy,
    ) -> None:
        self._threads = threads
        self._checkpointer = checkpointer
        self._signals = signals
        self._graphs = graphs
        self._policy = policy

    async def get(self, caller: Caller, thread_id: str, *, checkpoint: Json | None, subgraphs: bool) -> Json:
        """The state at a checkpoint, or the latest."""
        thread = await self._readable(caller, thread_id)
        where = place(thread_id, checkpoint)
        async with self._graph(thread, caller) as graph:
            if graph is None:
                return EMPTY
            return state_json(_as_asked(await graph.aget_state(where, subgraphs=subgraphs), where))

    async def history(
        self,
        caller: Caller,
        thread_id: str,
        *,
        limit: int,
        before: Json | None,
        metadata: Json | None,
        checkpoint: Json | None,
    ) -> Sequence[Json]:
        """The states of the thread, newest first."""
        thread = await self._readable(caller, thread_id)
        earlier_than = place(thread_id, before) if before else None
        async with self._graph(thread, caller) as graph:
            if graph is None:
                return []
            found = graph.aget_state_history(
                place(thread_id, checkpoint),
                filter=dict(metadata) if metadata else None,
                before=earlier_than,
                limit=limit,
            )
            return [state_json(snapshot) async for snapshot in found]

    async def update(
        self, caller: Caller, thread_id: str, *, values: Any, as_node: str | None, checkpoint: Json | None
    ) -> Json:
        """Write a new checkpoint as if a node had returned ``values``; the place of it."""
        scope = await self._policy.authorize(caller, "threads", "update", {"thread_id": thread_id})
        async with held(self._threads, self._signals, thread_id, scope) as thread:
            where = place(thread_id, checkpoint)
            where["configurable"] = {"checkpoint_ns": "", **where["configurable"], "graph_id": _graph_id(thread)}
            async with self._editing(thread, caller) as graph:
                with _refusals():
                    config = await graph.aupdate_state(where, values, as_node=as_node)
                await self._show(graph, thread)
            return checkpoint_of(config) or {}

    async def replay(self, caller: Caller, thread_id: str, supersteps: Sequence[Json]) -> Thread:
        """Write one checkpoint per superstep, as if the named nodes had returned the values."""
        scope = await self._policy.authorize(caller, "threads", "update", {"thread_id": thread_id})
        async with (
            held(self._threads, self._signals, thread_id, scope) as thread,
            self._editing(thread, caller) as graph,
        ):
            updates = [[_state_update(update) for update in step["updates"]] for step in supersteps]
            with _refusals():
                await graph.abulk_update_state(place(thread_id, None), updates)
            return await self._show(graph, thread)

    async def _show(self, graph: Graph, thread: Thread) -> Thread:
        standing = await latest(graph, thread.thread_id)
        assert standing.state is not None
        try:
            return await self._threads.put_state(
                thread.thread_id, standing.state, status=standing.status, metadata={}, scope={}
            )
        except NotFoundError:  # it was deleted meanwhile, and what was written since is nobody's
            await self._checkpointer.adelete_thread(thread.thread_id)
            raise

    async def _readable(self, caller: Caller, thread_id: str) -> Thread:
        scope = await self._policy.authorize(caller, "threads", "read", {"thread_id": thread_id})
        return await self._threads.get(thread_id, scope=scope)

    @asynccontextmanager
    async def _graph(self, thread: Thread, caller: Caller) -> AsyncIterator[Graph | None]:
        graph_id = thread.metadata.get("graph_id")
        if not isinstance(graph_id, str):
            yield None
            return
        async with self._graphs.open(graph_id, "threads.read", _config(thread, caller)) as graph:
            yield graph

    @asynccontextmanager
    async def _editing(self, thread: Thread, caller: Caller) -> AsyncIterator[Graph]:
        async with self._graphs.open(_graph_id(thread), "threads.update", _config(thread, caller)) as graph:
            yield graph


@asynccontextmanager
async def held(threads: ThreadStore, signals: Signals, thread_id: str, scope: Scope) -> AsyncIterator[Thread]:
    """Hold a thread; at the end, runs that were created meanwhile may start. Raises ConflictError."""
    try:
        async with threads.hold(thread_id, scope=scope) as thread:
            yield thread
    finally:
        await signals.send(RunsReady())


def _as_asked(snapshot: StateSnapshot, where: RunnableConfig) -> StateSnapshot:
    """A checkpoint that was asked for by its id alone is told so; some savers add the namespace."""
    asked = where["configurable"]
    if "checkpoint_id" not in asked or "checkpoint_ns" in asked:
        return snapshot
    told = {key: value for key, value in snapshot.config["configurable"].items() if key != "checkpoint_ns"}
    return snapshot._replace(config={**snapshot.config, "configurable": told})


@contextmanager
def _refusals() -> Iterator[None]:
    """What a graph's reducers make of an update they cannot take."""
    try:
        yield
    except FastGraphError:
        raise
    except Exception as error:
        failure = describe(error)
        raise RefusedError(f"{failure.error}: {failure.message}") from error


def _graph_id(thread: Thread) -> str:
    graph_id = thread.metadata.get("graph_id")
    if not isinstance(graph_id, str):
        raise RefusedError(
            f"Thread {thread.thread_id} belongs to no graph yet: run an assistant on it first, or set 'graph_id' in "
            "its metadata"
        )
    return graph_id


def _config(thread: Thread, caller: Caller) -> RunnableConfig:
    where = {"configurable": thread.config.get("configurable", {})}
    return reading_config(where, caller.user, thread_id=thread.thread_id)


def _state_update(update: Json) -> StateUpdate:
    command = update.get("command")
    values = update.get("values") if command is None else to_command(command)
    return StateUpdate(values, update.get("as_node"))  # type: ignore[arg-type] # a command is taken as well
