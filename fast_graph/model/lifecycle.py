"""The lifecycle of a run as a table, and what it makes of its thread."""

from typing import Literal, get_args

RunStatus = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
MultitaskStrategy = Literal["reject", "rollback", "interrupt", "enqueue"]
CancelAction = Literal["interrupt", "rollback"]

RUN_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
THREAD_STATUSES: tuple[ThreadStatus, ...] = get_args(ThreadStatus)

TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    "pending": frozenset({"running", "interrupted"}),
    "running": frozenset({"pending", "success", "error", "timeout", "interrupted"}),
    "success": frozenset(),
    "error": frozenset(),
    "timeout": frozenset(),
    "interrupted": frozenset(),
}
"""From each status, the ones a run may move to. ``running -> pending`` is a release or a reaped lease."""

INFLIGHT: frozenset[RunStatus] = frozenset(status for status, after in TRANSITIONS.items() if after)
TERMINAL: frozenset[RunStatus] = frozenset(TRANSITIONS) - INFLIGHT


def may_move(before: RunStatus, after: RunStatus) -> bool:
    """Whether a run in ``before`` may become ``after``."""
    return after in TRANSITIONS[before]


def diagram() -> str:
    """The table as a Mermaid state diagram (docs/engine.md shows it)."""
    arrows = [f"    {before} --> {after}" for before, into in TRANSITIONS.items() for after in sorted(into)]
    ends = [f"    {status} --> [*]" for status in RUN_STATUSES if status in TERMINAL]
    return "\n".join(["stateDiagram-v2", "    [*] --> pending", *arrows, *ends])
