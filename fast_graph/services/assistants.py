"""Use cases around assistants."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from fast_graph.auth.policy import Caller, Policy
from fast_graph.graphs import schemas
from fast_graph.graphs.registry import Registry
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from fast_graph.model.queries import AssistantQuery, ThreadQuery
from fast_graph.model.records import Assistant, Json, Page
from fast_graph.storage.assistants import AssistantStore
from fast_graph.storage.threads import ThreadStore

GRAPH_NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
"""The namespace in which a graph's name gives the id of its system assistant."""


def system_assistant_id(graph_id: str) -> str:
    """The id of the assistant that every graph has from the start."""
    return str(uuid5(GRAPH_NAMESPACE, graph_id))


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its usual form."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


class Assistants:
    """Assistants, and what their graphs look like."""

    def __init__(
        self,
        store: AssistantStore,
        threads: ThreadStore,
        *,
        graphs: Registry,
        policy: Policy,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._threads = threads
        self._graphs = graphs
        self._policy = policy
        self._clock = clock
        self._new_id = new_id
        self._system = {name: system_assistant_id(name) for name in graphs.names}

    async def ensure_system(self) -> None:
        """Make the system assistant of each graph that has none yet."""
        for name, assistant_id in self._system.items():
            try:
                await self._store.get(assistant_id, scope={})
            except NotFoundError:
                with contextlib.suppress(ConflictError):  # another process was faster
                    await self._store.create(self._system_assistant(name, assistant_id))

    def _system_assistant(self, name: str, assistant_id: str) -> Assistant:
        now = self._clock()
        return Assistant(
            assistant_id=assistant_id,
            graph_id=name,
            name=name,
            metadata={"created_by": "system"},
            created_at=now,
            updated_at=now,
        )

    def id_of(self, reference: str) -> str:
        """The id that a UUID or a graph's name stands for. Raises InvalidError for neither."""
        found = self._system.get(reference)
        if found is not None:
            return found
        if not is_uuid(reference):
            known = ", ".join(self._system)
            raise InvalidError(f"'{reference[:80]}' is neither an assistant's UUID nor a graph served here ({known})")
        return reference.lower()

    async def create(
        self, caller: Caller, *, graph_id: str, assistant_id: str | None, if_exists: str, **fields: Any
    ) -> Assistant:
        """A new assistant of a graph; or, if asked for, the one that has the id already."""
        self._check_graph(graph_id)
        values = with_mirrored_context({key: value for key, value in fields.items() if value is not None})
        now = self._clock()
        assistant = Assistant(
            assistant_id=assistant_id.lower() if assistant_id else self._new_id(),
            graph_id=graph_id,
            created_at=now,
            updated_at=now,
            **{"name": "Untitled", **values},
        )
        scope = await self._policy.authorize(caller, "assistants", "create", {"assistant_id": assistant.assistant_id})
        try:
            await self._store.create(assistant)
        except ConflictError:
            if if_exists != "do_nothing":
                raise
        return await self._store.get(assistant.assistant_id, scope=scope)

    async def get(self, caller: Caller, reference: str) -> Assistant:
        """The assistant of a UUID or a graph's name."""
        assistant_id = self.id_of(reference)
        scope = await self._policy.authorize(caller, "assistants", "read", {"assistant_id": assistant_id})
        return await self._store.get(assistant_id, scope=scope)

    async def search(self, caller: Caller, query: AssistantQuery) -> Page[Assistant]:
        """One page of the matching assistants."""
        if query.graph_id is not None:
            self._check_graph(query.graph_id)
        scope = await self._policy.authorize(caller, "assistants", "search", {"metadata": query.metadata})
        return await self._store.search(query, scope=scope)

    async def patch(self, caller: Caller, reference: str, changes: Mapping[str, Any]) -> Assistant:
        """A new version with the changes."""
        assistant_id = self.id_of(reference)
        if "graph_id" in changes:
            self._check_graph(changes["graph_id"])
        scope = await self._policy.authorize(caller, "assistants", "update", {"assistant_id": assistant_id})
        now = await self._store.get(assistant_id, scope=scope)
        return await self._store.update(assistant_id, _completed(changes, now), scope=scope)

    async def versions(
        self, caller: Caller, reference: str, *, metadata: Json, limit: int, offset: int
    ) -> Sequence[Assistant]:
        """Its versions, newest first."""
        assistant_id = self.id_of(reference)
        scope = await self._policy.authorize(caller, "assistants", "read", {"assistant_id": assistant_id})
        return await self._store.versions(assistant_id, metadata=metadata, limit=limit, offset=offset, scope=scope)

    async def set_latest(self, caller: Caller, reference: str, version: int) -> Assistant:
        """Go back to an earlier version."""
        assistant_id = self.id_of(reference)
        scope = await self._policy.authorize(caller, "assistants", "update", {"assistant_id": assistant_id})
        return await self._store.set_latest(assistant_id, version, scope=scope)

    async def delete(self, caller: Caller, reference: str) -> Sequence[str]:
        """Remove it; the ids of the threads whose last run was its."""
        assistant_id = self.id_of(reference)
        scope = await self._policy.authorize(caller, "assistants", "delete", {"assistant_id": assistant_id})
        await self._store.delete(assistant_id, scope=scope)
        theirs = ThreadQuery(metadata={"assistant_id": assistant_id}, limit=100_000)
        return [thread.thread_id for thread in (await self._threads.search(theirs, scope=scope)).rows]

    async def drawing(self, caller: Caller, reference: str, *, xray: int | bool) -> Json:
        """The graph's nodes and edges."""
        assistant = await self.get(caller, reference)
        async with self._graphs.open(assistant.graph_id, "assistants.read", _config(assistant)) as graph:
            return await schemas.drawing(graph, xray=xray)

    async def schemas(self, caller: Caller, reference: str) -> Json:
        """The graph's JSON schemas."""
        assistant = await self.get(caller, reference)
        async with self._graphs.open(assistant.graph_id, "assistants.read", _config(assistant)) as graph:
            return {"graph_id": assistant.graph_id, **schemas.schemas(graph)}

    async def subgraphs(self, caller: Caller, reference: str, namespace: str | None, *, recurse: bool) -> Json:
        """The schemas of the graph's subgraphs."""
        assistant = await self.get(caller, reference)
        async with self._graphs.open(assistant.graph_id, "assistants.read", _config(assistant)) as graph:
            return await schemas.subgraph_schemas(graph, namespace, recurse=recurse)

    def _check_graph(self, graph_id: str) -> None:
        if graph_id not in self._system:
            raise NotFoundError(f"Graph '{graph_id[:80]}' is not served here; these are: {', '.join(self._system)}")


def with_mirrored_context(values: Mapping[str, Any]) -> dict[str, Any]:
    """``context`` and ``config.configurable`` say the same in two places: whichever is given fills the other.

    Raises RefusedError when both are given.
    """
    config, context = dict(values.get("config") or {}), values.get("context")
    configurable = config.get("configurable")
    if context and configurable:
        raise RefusedError("Give either 'context' or 'config.configurable', not both: they mean the same")
    mirrored = dict(values)
    if context:
        mirrored["config"] = {**config, "configurable": dict(context)}
    elif configurable:
        mirrored["context"] = dict(configurable)
    return mirrored


def _completed(changes: Mapping[str, Any], now: Assistant) -> Mapping[str, Any]:
    """The changes, and what follows from them for the other of ``config`` and ``context``."""
    mirrored = with_mirrored_context(changes)
    if changes.get("context") and "config" not in changes:
        mirrored["config"] = {**now.config, "configurable": dict(changes["context"])}
    elif "config" in changes and "context" not in mirrored and now.context:
        mirrored["config"] = {**mirrored["config"], "configurable": dict(now.context)}
    return mirrored


def _config(assistant: Assistant) -> Any:
    return dict(assistant.config)
