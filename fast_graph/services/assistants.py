"""Use cases around assistants."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from fast_graph.auth.policy import Caller, Policy
from fast_graph.graphs import schemas
from fast_graph.graphs.config import reading_config
from fast_graph.graphs.registry import Graph, Registry
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from fast_graph.model.queries import AssistantQuery, ThreadQuery
from fast_graph.model.records import EVERYTHING, Assistant, Json, Page, Scope
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


BLANK: Json = {"name": "Untitled", "metadata": {}, "config": {}, "context": {}}
"""What an assistant has if nobody says."""


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
        chosen = assistant_id.lower() if assistant_id else self._new_id()
        asked = {**BLANK, **with_mirrored_context({key: value for key, value in fields.items() if value is not None})}
        value = {"assistant_id": chosen, "graph_id": graph_id, "if_exists": if_exists, **_copied(asked)}
        scope = await self._policy.authorize(caller, "assistants", "create", value)
        asked.update((key, value[key]) for key in BLANK)
        now = self._clock()
        assistant = Assistant(assistant_id=chosen, graph_id=graph_id, created_at=now, updated_at=now, **asked)
        try:
            await self._store.create(assistant)
        except ConflictError:
            if if_exists != "do_nothing":
                raise
            return await self._existing(chosen, scope)
        return assistant

    async def _existing(self, assistant_id: str, scope: Scope) -> Assistant:
        """The one that has the id. If that is another's, the id is taken all the same."""
        try:
            return await self._store.get(assistant_id, scope=scope)
        except NotFoundError as error:
            raise ConflictError(f"Assistant {assistant_id} already exists") from error

    async def to_run(self, caller: Caller, reference: str) -> Assistant:
        """The assistant that a run is to be made of. Those of the graphs themselves are there for everybody."""
        assistant_id = self.id_of(reference)
        if assistant_id in self._system.values():
            return await self._store.get(assistant_id, scope=EVERYTHING)
        return await self.get(caller, assistant_id)

    async def get(self, caller: Caller, reference: str) -> Assistant:
        """The assistant of a UUID or a graph's name."""
        assistant_id = self.id_of(reference)
        scope = await self._policy.authorize(caller, "assistants", "read", {"assistant_id": assistant_id})
        return await self._store.get(assistant_id, scope=scope)

    async def search(self, caller: Caller, query: AssistantQuery) -> Page[Assistant]:
        """One page of the matching assistants."""
        if query.graph_id is not None:
            self._check_graph(query.graph_id)
        value: dict[str, Any] = {
            "graph_id": query.graph_id,
            "metadata": dict(query.metadata),
            "limit": query.limit,
            "offset": query.offset,
        }
        scope = await self._policy.authorize(caller, "assistants", "search", value)
        return await self._store.search(replace(query, metadata=value["metadata"]), scope=scope)

    async def patch(self, caller: Caller, reference: str, changes: Mapping[str, Any]) -> Assistant:
        """A new version with the changes."""
        assistant_id = self.id_of(reference)
        if "graph_id" in changes:
            self._check_graph(changes["graph_id"])
        value = {"assistant_id": assistant_id, **_copied({"metadata": {}, **changes})}
        scope = await self._policy.authorize(caller, "assistants", "update", value)
        now = await self._store.get(assistant_id, scope=scope)
        if value["metadata"]:
            changes = {**changes, "metadata": value["metadata"]}
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
        value = {"assistant_id": assistant_id, "version": version}
        scope = await self._policy.authorize(caller, "assistants", "update", value)
        return await self._store.set_latest(assistant_id, version, scope=scope)

    async def delete(self, caller: Caller, reference: str) -> None:
        """Remove it."""
        assistant_id = self.id_of(reference)
        scope = await self._policy.authorize(caller, "assistants", "delete", {"assistant_id": assistant_id})
        await self._store.delete(assistant_id, scope=scope)

    async def threads_of(self, caller: Caller, reference: str) -> Sequence[str]:
        """The ids of the caller's threads whose last run was its."""
        value = {"metadata": {"assistant_id": self.id_of(reference)}}
        scope = await self._policy.authorize(caller, "threads", "search", value)
        theirs = ThreadQuery(metadata=value["metadata"], limit=100_000)
        return [thread.thread_id for thread in (await self._threads.search(theirs, scope=scope)).rows]

    async def drawing(self, caller: Caller, reference: str, *, xray: int | bool) -> Json:
        """The graph's nodes and edges."""
        async with self._graph(caller, reference) as (_, graph):
            return await schemas.drawing(graph, xray=xray)

    async def schemas(self, caller: Caller, reference: str) -> Json:
        """The graph's JSON schemas."""
        async with self._graph(caller, reference) as (assistant, graph):
            return {"graph_id": assistant.graph_id, **schemas.schemas(graph)}

    async def subgraphs(self, caller: Caller, reference: str, namespace: str | None, *, recurse: bool) -> Json:
        """The schemas of the graph's subgraphs."""
        async with self._graph(caller, reference) as (_, graph):
            return await schemas.subgraph_schemas(graph, namespace, recurse=recurse)

    @contextlib.asynccontextmanager
    async def _graph(self, caller: Caller, reference: str) -> AsyncIterator[tuple[Assistant, Graph]]:
        assistant = await self.get(caller, reference)
        config = reading_config(assistant.config, caller.user)
        async with self._graphs.open(assistant.graph_id, "assistants.read", config) as graph:
            yield assistant, graph

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


def _copied(fields: Json) -> dict[str, Any]:
    """For a policy to write into."""
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in fields.items()}
