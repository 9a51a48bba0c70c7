"""What can be asked of the stores: filters, order and paging of one search."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fast_graph.model.lifecycle import RunStatus, ThreadStatus
from fast_graph.model.records import Json

SortOrder = Literal["asc", "desc"]


@dataclass(frozen=True, kw_only=True)
class Paging:
    """Which slice of the matches, in which order."""

    limit: int = 10
    offset: int = 0
    sort_by: str = "created_at"
    sort_order: SortOrder = "desc"


@dataclass(frozen=True, kw_only=True)
class AssistantQuery(Paging):
    """Assistants whose metadata contains ``metadata``, of a graph, with ``name`` within theirs (any case)."""

    metadata: Json = field(default_factory=dict)
    graph_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ThreadQuery(Paging):
    """Threads whose metadata and values contain what is given."""

    metadata: Json = field(default_factory=dict)
    values: Json = field(default_factory=dict)
    status: ThreadStatus | None = None
    ids: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class RunQuery(Paging):
    """Runs of one thread, newest first. A status that no run can have matches none."""

    thread_id: str
    status: RunStatus | str | None = None
