"""Use cases around threads."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from fast_graph.auth.policy import Caller, Policy
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, InvalidError, NotFoundError
from fast_graph.model.queries import ThreadQuery
from fast_graph.model.records import Json, Page, Scope, Thread
from fast_graph.services.runs import Runs
from fast_graph.services.state import States, held
from fast_graph.storage.signals import Signals
from fast_graph.storage.threads import ThreadStore

LONGEST_ID = 255


def check_thread_id(thread_id: str) -> str:
    """Any printable text of 1 to 255 characters is a thread's id. Raises InvalidError."""
    if not 1 <= len(thread_id) <= LONGEST_ID or not thread_id.isprintable():
        raise InvalidError(f"A thread id is 1 to {LONGEST_ID} printable characters, not {thread_id[:80]!r}")
    return thread_id


class Threads:
    """Threads and their life; their state has a service of its own."""

    def __init__(
        self,
        store: ThreadStore,
        checkpointer: BaseCheckpointSaver[Any],
        *,
        signals: Signals,
        runs: Runs,
        states: States,
        policy: Policy,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._checkpointer = checkpointer
        self._signals = signals
        self._runs = runs
        self._states = states
        self._policy = policy
        self._clock = clock
        self._new_id = new_id

    async def create(
        self,
        caller: Caller,
        *,
        thread_id: str | None,
        metadata: Json,
        if_exists: str,
        supersteps: Sequence[Json],
    ) -> Thread:
        """A new thread, with a history made of ``supersteps``; or, if asked for, the one that has the id."""
        chosen = check_thread_id(thread_id) if thread_id is not None else self._new_id()
        value: dict[str, Any] = {"thread_id": chosen, "metadata": dict(metadata), "if_exists": if_exists}
        scope = await self._policy.authorize(caller, "threads", "create", value)
        thread = Thread.fresh(chosen, now=self._clock(), metadata=value["metadata"])
        try:
            await self._store.create(thread)
        except ConflictError:
            if if_exists != "do_nothing":
                raise
            return await self._existing(chosen, scope)
        if supersteps:
            return await self._with_history(caller, thread, supersteps)
        return thread

    async def _existing(self, thread_id: str, scope: Scope) -> Thread:
        """The one that has the id. If that is another's, the id is taken all the same."""
        try:
            return await self._store.get(thread_id, scope=scope)
        except NotFoundError as error:
            raise ConflictError(f"Thread {thread_id} already exists") from error

    async def _with_history(self, caller: Caller, thread: Thread, supersteps: Sequence[Json]) -> Thread:
        try:
            return await self._states.replay(caller, thread.thread_id, supersteps)
        except BaseException:
            await self._store.delete(thread.thread_id, scope={})
            await self._checkpointer.adelete_thread(thread.thread_id)
            raise

    async def get(self, caller: Caller, thread_id: str) -> Thread:
        """The thread's row."""
        check_thread_id(thread_id)
        scope = await self._policy.authorize(caller, "threads", "read", {"thread_id": thread_id})
        return await self._store.get(thread_id, scope=scope)

    async def search(self, caller: Caller, query: ThreadQuery) -> Page[Thread]:
        """One page of the matching threads."""
        value: dict[str, Any] = {
            "metadata": dict(query.metadata),
            "values": dict(query.values),
            "status": query.status,
            "limit": query.limit,
            "offset": query.offset,
        }
        scope = await self._policy.authorize(caller, "threads", "search", value)
        asked = replace(query, metadata=value["metadata"], values=value["values"])
        return await self._store.search(asked, scope=scope)

    async def patch(self, caller: Caller, thread_id: str, *, metadata: Json) -> Thread:
        """Merge metadata into the thread's."""
        check_thread_id(thread_id)
        value: dict[str, Any] = {"thread_id": thread_id, "metadata": dict(metadata)}
        scope = await self._policy.authorize(caller, "threads", "update", value)
        return await self._store.patch(thread_id, metadata=value["metadata"], scope=scope)

    async def delete(self, caller: Caller, thread_id: str) -> None:
        """Stop its runs, then remove it with its runs and checkpoints."""
        check_thread_id(thread_id)
        scope = await self._policy.authorize(caller, "threads", "delete", {"thread_id": thread_id})
        await self._store.get(thread_id, scope=scope)
        await self._runs.stop_all(thread_id, scope=scope)
        with contextlib.suppress(NotFoundError):  # that of a stateless run goes as the run stops
            await self._store.delete(thread_id, scope=scope)
        await self._checkpointer.adelete_thread(thread_id)

    async def copy(self, caller: Caller, thread_id: str) -> Thread:
        """A new thread with the same metadata and checkpoints. An unknown thread is a conflict."""
        check_thread_id(thread_id)
        scope = await self._policy.authorize(caller, "threads", "read", {"thread_id": thread_id})
        try:
            source = await self._store.get(thread_id, scope=scope)
        except NotFoundError as error:
            raise ConflictError(f"Thread {thread_id} cannot be copied: there is no such thread") from error
        copied = await self.create(caller, thread_id=None, metadata=source.metadata, if_exists="raise", supersteps=())
        await self._checkpointer.acopy_thread(thread_id, copied.thread_id)
        return copied

    async def prune(self, caller: Caller, thread_ids: Sequence[str], *, strategy: str) -> int:
        """Delete threads, or all their checkpoints but the latest; how many there were. Busy ones keep theirs."""
        chosen = [check_thread_id(thread_id) for thread_id in dict.fromkeys(thread_ids)]
        pruned = 0
        for thread_id in chosen:
            with contextlib.suppress(NotFoundError, ConflictError):
                await self._prune(caller, thread_id, strategy)
                pruned += 1
        return pruned

    async def _prune(self, caller: Caller, thread_id: str, strategy: str) -> None:
        if strategy == "delete":
            await self.delete(caller, thread_id)
            return
        scope = await self._policy.authorize(caller, "threads", "update", {"thread_id": thread_id})
        async with held(self._store, self._signals, check_thread_id(thread_id), scope):
            await self._checkpointer.aprune([thread_id], strategy=strategy)
