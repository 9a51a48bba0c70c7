"""The rows FastGraph keeps and the messages that pass between its parts.

``bytes`` fields hold JSON text: large values are encoded once, near the graph, and passed on untouched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from fast_graph.model.lifecycle import CancelAction, MultitaskStrategy, RunStatus, ThreadStatus

T = TypeVar("T")
Json = Mapping[str, Any]
Scope = Mapping[str, Any]
"""A metadata filter. A row whose metadata does not match it does not exist for the caller."""

EVERYTHING: Scope = {}


@dataclass(frozen=True, kw_only=True)
class Assistant:
    """A graph with a name and a configuration; every change makes a new version."""

    assistant_id: str
    graph_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    config: Json = field(default_factory=dict)
    context: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    description: str | None = None
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run did not succeed: the exception's type name and a message that may be shown."""

    error: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ThreadState:
    """What the latest checkpoint of a thread amounts to, kept on its row for lists and joins."""

    values: bytes | None
    interrupts: Mapping[str, Sequence[Json]] | None = None
    """By task id: ``{"id", "value"}`` of each interrupt that waits for an answer; None before any checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Thread:
    """A conversation: runs follow each other on it, one at a time."""

    thread_id: str
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime
    metadata: Json = field(default_factory=dict)
    status: ThreadStatus = "idle"
    config: Json = field(default_factory=dict)
    values: bytes | None = None
    interrupts: Mapping[str, Sequence[Json]] | None = None
    error: Failure | None = None
    resting: ThreadStatus = "idle"
    """The status the thread has, or will have again, when no run is in flight."""
    touched: bool = False
    """Whether a run or a state edit has happened; before that, a thread shows no error and no interrupts."""

    @classmethod
    def fresh(cls, thread_id: str, *, now: datetime, metadata: Json | None = None) -> "Thread":
        """A thread on which nothing has happened."""
        return cls(thread_id=thread_id, created_at=now, updated_at=now, state_updated_at=now, metadata=metadata or {})


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of an assistant on a thread. Its row is its place in the queue."""

    run_id: str
    thread_id: str
    assistant_id: str
    created_at: datetime
    updated_at: datetime
    kwargs: bytes
    """JSON of everything the execution needs: input, command, config, stream modes, ..."""
    metadata: Json = field(default_factory=dict)
    status: RunStatus = "pending"
    multitask_strategy: MultitaskStrategy = "enqueue"
    temporary: bool = False
    """The thread was made for this run alone and goes with it."""
    resumable: bool = False
    """Readers may come back with the id of the last event they saw."""
    due_at: datetime | None = None
    """Not before this moment; ``None`` is at once."""
    attempt: int = 0
    """How often the run was claimed, releases not counted."""
    max_attempts: int | None = None
    """How often it may be; ``None`` leaves it to the workers, 1 is at most once."""
    error: Failure | None = None
    caller: str | None = None
    """Whose quota it uses up while it is in flight; ``None`` while nobody counts."""
    graph_id: str | None = None
    """Which graph's quota; ``None`` while nobody counts."""


@dataclass(frozen=True, kw_only=True)
class Created:
    """What admitting a run did: its row, and the rows it pushed aside."""

    run: Run
    displaced: Sequence[Run] = ()
    """Runs in flight that were told to stop; the pending ones among them have stopped already."""
    claimed: bool = False
    """Whether a worker of this process has the run already: nobody needs to be called."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to execute one run until it expires. ``token`` rises with every claim of the run."""

    run: Run
    worker: str
    token: int
    expires_at: datetime
    wish: "Wish | None" = None
    """What was asked of the run before it was claimed, by its last holder's time."""


def dead_letter(run: Run) -> Failure:
    """The error of a run that lost its worker once too often."""
    return Failure(
        error="AttemptsExhausted",
        message=f"The run lost its worker {run.attempt} times and is not tried again",
    )


FENCE_KEY = "__fast_graph_token"
"""The key of a run's configurable under which its lease's token travels to the checkpointer."""

StopWish = CancelAction | Literal["pause"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asked of a run that is being executed."""

    action: StopWish
    superseded_by: str | None = None
    """The run that displaced this one, if that is why."""


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """The answer to one heartbeat: is the lease still ours, and does anybody want the run to stop?"""

    fresh: bool
    wish: Wish | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an execution ended; ``finish`` writes it to the run and its thread at once."""

    status: RunStatus
    thread_status: ThreadStatus
    """What the thread is when no other run is in flight on it."""
    state: ThreadState | None = None
    """The thread's new state; ``None`` leaves what the thread showed before."""
    error: Failure | None = None
    forget: bool = False
    """Roll back: the run's row goes, as its checkpoints did."""


class Event(NamedTuple):
    """One thing a run said. ``data`` is JSON text."""

    name: str
    data: bytes


class Record(NamedTuple):
    """An event with its place in the run's stream."""

    seq: int
    """1, 2, 3, ... through all attempts of the run."""
    ms: int
    """When it was appended: milliseconds since 1970, never falling."""
    name: str
    data: bytes

    @property
    def id(self) -> str:
        """The id clients see and send back, unique and rising within the run."""
        return f"{self.ms}-{self.seq}"


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """A slice of a search and how many rows match in all."""

    rows: Sequence[T]
    total: int
