"""How many runs there may be, and the refusal of one more."""

from dataclasses import dataclass

from fast_graph.model.errors import LimitError
from fast_graph.model.records import Run

DISPLACING = frozenset({"interrupt", "rollback"})
"""Strategies by which a run takes the place of those in flight on its thread, which therefore do not count."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How many runs there may be before one more is refused; ``None`` is any number."""

    pending: int | None = None
    """That wait to start, whoever wants them."""
    per_caller: int | None = None
    """Pending or running, of one caller."""
    per_graph: int | None = None
    """Pending or running, of one graph."""


UNLIMITED = Quota()


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many runs there are, beside the one that is to be created and those that it displaces."""

    pending: int = 0
    of_caller: int = 0
    of_graph: int = 0


def check_quota(run: Run, quota: Quota, counts: Counts) -> None:
    """Raises LimitError if there is no room for the run."""
    if quota.pending is not None and counts.pending >= quota.pending:
        raise LimitError(f"{quota.pending} runs are waiting already: try again later")
    if quota.per_caller is not None and run.caller is not None and counts.of_caller >= quota.per_caller:
        raise LimitError(
            f"You have {quota.per_caller} runs in flight, and may have no more: wait for one, or cancel one"
        )
    if quota.per_graph is not None and run.graph_id is not None and counts.of_graph >= quota.per_graph:
        raise LimitError(f"{quota.per_graph} runs of {run.graph_id} are in flight already: try again later")
