"""Assistants in memory."""

from collections.abc import Sequence
from dataclasses import replace

from fast_graph.backends.memory.table import Table
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, NotFoundError
from fast_graph.model.match import contains, in_scope
from fast_graph.model.queries import AssistantQuery
from fast_graph.model.records import EVERYTHING, Assistant, Json, Page, Scope

JSON_FIELDS = ("metadata", "config", "context")


class MemoryAssistants:
    """The reference of the AssistantStore port."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: Table[Assistant] = Table(Assistant, "assistant_id", JSON_FIELDS)
        self._versions: dict[str, Table[Assistant]] = {}

    async def create(self, assistant: Assistant) -> None:
        if assistant.assistant_id in self._rows:
            raise ConflictError(f"Assistant {assistant.assistant_id} already exists")
        self._rows.put(assistant)
        versions: Table[Assistant] = Table(Assistant, "version", JSON_FIELDS)
        versions.put(assistant)
        self._versions[assistant.assistant_id] = versions

    async def get(self, assistant_id: str, *, scope: Scope) -> Assistant:
        found = self._rows.get(assistant_id)
        if found is None or not in_scope(found.metadata, scope):
            raise NotFoundError(f"Assistant {assistant_id} not found")
        return found

    async def search(self, query: AssistantQuery, *, scope: Scope) -> Page[Assistant]:
        name = query.name.lower() if query.name else None

        def keep(row: Assistant) -> bool:
            named = name is None or name in row.name.lower()
            return named and query.graph_id in (None, row.graph_id) and in_scope(row.metadata, scope)

        return self._rows.search(query, metadata=query.metadata, keep=keep)

    async def update(self, assistant_id: str, changes: Json, *, scope: Scope) -> Assistant:
        now = await self.get(assistant_id, scope=scope)
        metadata = {**now.metadata, **changes.get("metadata", {})}
        number = len(self._versions[assistant_id]) + 1
        changed = replace(now, **{**changes, "metadata": metadata, "version": number, "updated_at": self._clock()})
        self._versions[assistant_id].put(changed)
        self._rows.put(changed)
        return await self.get(assistant_id, scope=EVERYTHING)

    async def versions(
        self, assistant_id: str, *, metadata: Json, limit: int, offset: int, scope: Scope
    ) -> Sequence[Assistant]:
        await self.get(assistant_id, scope=scope)
        rows = self._versions[assistant_id].all()
        matching = [row for row in rows if contains(row.metadata, metadata)]
        return matching[::-1][offset : offset + limit]

    async def set_latest(self, assistant_id: str, version: int, *, scope: Scope) -> Assistant:
        await self.get(assistant_id, scope=scope)
        earlier = self._versions[assistant_id].get(version)
        if earlier is None:
            raise NotFoundError(f"Version {version} not found for assistant {assistant_id}")
        self._rows.put(replace(earlier, updated_at=self._clock()))
        return await self.get(assistant_id, scope=EVERYTHING)

    async def delete(self, assistant_id: str, *, scope: Scope) -> None:
        await self.get(assistant_id, scope=scope)
        self._rows.pop(assistant_id)
        del self._versions[assistant_id]
