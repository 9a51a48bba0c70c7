"""The port of assistants."""

from collections.abc import Sequence
from typing import Protocol

from fast_graph.model.queries import AssistantQuery
from fast_graph.model.records import Assistant, Json, Page, Scope


class AssistantStore(Protocol):
    """Assistants and all their versions. A row outside ``scope`` does not exist."""

    async def create(self, assistant: Assistant) -> None:
        """Store a new assistant as its version 1. Raises ConflictError when the id is taken."""
        ...

    async def get(self, assistant_id: str, *, scope: Scope) -> Assistant:
        """The assistant as it is now. Raises NotFoundError."""
        ...

    async def search(self, query: AssistantQuery, *, scope: Scope) -> Page[Assistant]:
        """The matching assistants of one page, and the number of all matches."""
        ...

    async def update(self, assistant_id: str, changes: Json, *, scope: Scope) -> Assistant:
        """Store a new version with ``changes`` (field -> value; ``metadata`` is merged, the rest replaced).

        The version number is one above the highest that ever was. Raises NotFoundError.
        """
        ...

    async def versions(
        self, assistant_id: str, *, metadata: Json, limit: int, offset: int, scope: Scope
    ) -> Sequence[Assistant]:
        """Its versions, newest first, those whose metadata contains ``metadata``. Raises NotFoundError."""
        ...

    async def set_latest(self, assistant_id: str, version: int, *, scope: Scope) -> Assistant:
        """Make an earlier version the present one; no new version. Raises NotFoundError for either."""
        ...

    async def delete(self, assistant_id: str, *, scope: Scope) -> None:
        """Remove it and its versions. Raises NotFoundError."""
        ...
