"""A graph's state as clients see it, and what of it a thread's row keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, PregelTask, StateSnapshot

from fast_graph.graphs.registry import Graph
from fast_graph.graphs.serde import encode, plain
from fast_graph.graphs.stream import checkpoint_of
from fast_graph.model.lifecycle import ThreadStatus
from fast_graph.model.records import Json, ThreadState

Breakpoints = Sequence[str] | Literal["*"] | None
"""The nodes before or after which a run stops; ``*`` is all of them."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a thread's row is to show, and the status it amounts to. Without a state the row stays as it is."""

    state: ThreadState | None = None
    status: ThreadStatus = "idle"


async def latest(graph: Graph, thread_id: str) -> Standing:
    """Where the thread stands by the graph's latest checkpoint."""
    snapshot = await graph.aget_state({"configurable": {"thread_id": thread_id}})
    return Standing(state=thread_state(snapshot), status="interrupted" if snapshot.next else "idle")


async def is_at_rest(graph: Graph, thread_id: str, before: Breakpoints, after: Breakpoints) -> bool:
    """Whether the thread's latest checkpoint is where a run with these breakpoints stops.

    Called without input, a graph walks on from there: it takes the call for the answer to the interrupt.
    """
    if not before and not after:
        return False
    snapshot = await graph.aget_state({"configurable": {"thread_id": thread_id}})
    if not snapshot.next:
        return False
    return _meet(snapshot.next, before) or (bool(after) and _meet(await _done_last(graph, snapshot), after))


async def _done_last(graph: Graph, snapshot: StateSnapshot) -> Sequence[str]:
    """The nodes of the step that led to this checkpoint."""
    if snapshot.parent_config is None:
        return ()
    return (await graph.aget_state(snapshot.parent_config)).next


def _meet(nodes: Sequence[str], breakpoints: Breakpoints) -> bool:
    if not breakpoints:
        return False
    return breakpoints == "*" or not set(nodes).isdisjoint(breakpoints)


def thread_state(snapshot: StateSnapshot) -> ThreadState:
    """What a thread's row keeps of a snapshot. A thread without a checkpoint has no values.

    Raises TypeError for interrupts nested too deeply for a row.
    """
    if snapshot.created_at is None:
        return ThreadState(values=None)
    waiting = {task.id: [plain(_interrupt(one)) for one in task.interrupts] for task in snapshot.tasks}
    interrupts = {task_id: found for task_id, found in waiting.items() if found}
    orjson.dumps([[interrupts]])
    return ThreadState(values=encode(snapshot.values), interrupts=interrupts)


def state_json(snapshot: StateSnapshot) -> Json:
    """A snapshot in the API's form."""
    checkpoint = checkpoint_of(snapshot.config) or {}
    parent = checkpoint_of(snapshot.parent_config)
    checkpoint_id = checkpoint.get("checkpoint_id")
    return {
        "values": snapshot.values if snapshot.values is not None else {},
        "next": list(snapshot.next),
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": _metadata(snapshot),
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint if checkpoint_id else None,
        "parent_checkpoint": parent,
        "interrupts": [_interrupt(one) for one in snapshot.interrupts],
        "checkpoint_id": checkpoint_id,
        "parent_checkpoint_id": parent["checkpoint_id"] if parent else None,
    }


def _metadata(snapshot: StateSnapshot) -> Json | None:
    """LangGraph leaves out of the metadata what the config says already; clients look for it there."""
    if snapshot.metadata is None:
        return None
    where = snapshot.config["configurable"]
    namespace = {"checkpoint_ns": where["checkpoint_ns"]} if where.get("checkpoint_ns") else {}
    return {**snapshot.metadata, "thread_id": where["thread_id"], **namespace}


def _task(task: PregelTask) -> Json:
    state = task.state
    return {
        "id": task.id,
        "name": task.name,
        "path": list(task.path),
        "error": repr(task.error) if isinstance(task.error, BaseException) else task.error,
        "interrupts": [_interrupt(one) for one in task.interrupts],
        "checkpoint": checkpoint_of(state) if isinstance(state, Mapping) else None,
        "state": state_json(state) if isinstance(state, StateSnapshot) else None,
        "result": task.result,
    }


def _interrupt(interrupt: Interrupt) -> Json:
    return {"id": interrupt.id, "value": interrupt.value}


def place(thread_id: str, checkpoint: Json | None) -> RunnableConfig:
    """The config that names a checkpoint of a thread; without one, its latest."""
    where = {key: value for key, value in (checkpoint or {}).items() if value is not None}
    return {"configurable": {**where, "thread_id": thread_id}}
