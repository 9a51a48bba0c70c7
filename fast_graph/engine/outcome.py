"""How an execution ends: the whole decision table, without anything that waits."""

from dataclasses import dataclass
from typing import Literal

from fast_graph.model.lifecycle import RunStatus, ThreadStatus
from fast_graph.model.records import Failure, Outcome, ThreadState, Wish

StopReason = Literal["interrupt", "rollback", "pause", "timeout", "lease_lost", "shutdown"]
"""Why an execution was told to stop; the first reason counts."""


@dataclass(frozen=True)
class Release:
    """Hand the run back: somebody else goes on where the last checkpoint is."""


@dataclass(frozen=True)
class Abandon:
    """Write nothing: the run is not ours any more."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """All that is known when the graph has stopped."""

    reason: StopReason | None = None
    wish: Wish | None = None
    error: Failure | None = None
    state: ThreadState | None = None
    state_status: ThreadStatus = "idle"
    """``interrupted`` if the latest checkpoint has nodes left to run."""


def outcome_of(ending: Ending) -> Outcome | Release | Abandon:
    """What to write about a run that ended like this."""
    if ending.reason == "lease_lost":
        return Abandon()
    if ending.reason == "shutdown":
        return Release()
    if ending.reason == "rollback":
        return _rolled_back(ending)
    if ending.reason in ("interrupt", "pause"):
        return _interrupted(ending)
    if ending.error is not None:
        status: RunStatus = "timeout" if ending.reason == "timeout" else "error"
        return Outcome(status=status, thread_status="error", state=ending.state, error=ending.error)
    return Outcome(status="success", thread_status=ending.state_status, state=ending.state)


def _interrupted(ending: Ending) -> Outcome:
    error = None if ending.reason == "pause" else Failure(error="UserInterrupt", message=_why(ending.wish))
    return Outcome(status="interrupted", thread_status="interrupted", state=ending.state, error=error)


def _rolled_back(ending: Ending) -> Outcome:
    error = Failure(error="UserRollback", message=_why(ending.wish))
    return Outcome(
        status="interrupted", thread_status=ending.state_status, state=ending.state, error=error, forget=True
    )


def _why(wish: Wish | None) -> str:
    superseded_by = wish.superseded_by if wish else None
    return f"Superseded by run {superseded_by}" if superseded_by else "Cancelled on request"
