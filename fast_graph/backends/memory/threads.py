"""Threads in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson

from fast_graph.backends.memory.ledger import Ledger
from fast_graph.model.errors import ConflictError
from fast_graph.model.lifecycle import ThreadStatus
from fast_graph.model.match import contains, in_scope
from fast_graph.model.queries import ThreadQuery
from fast_graph.model.records import Json, Page, Scope, Thread, ThreadState


class MemoryThreads:
    """The reference of the ThreadStore port."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def create(self, thread: Thread) -> None:
        if thread.thread_id in self._ledger.threads:
            raise ConflictError(f"Thread {thread.thread_id} already exists")
        self._ledger.add_thread(thread)

    async def get(self, thread_id: str, *, scope: Scope) -> Thread:
        return self._ledger.thread(thread_id, scope)

    async def search(self, query: ThreadQuery, *, scope: Scope) -> Page[Thread]:
        ids = None if query.ids is None else set(query.ids)

        def keep(row: Thread) -> bool:
            return (
                (ids is None or row.thread_id in ids)
                and query.status in (None, row.status)
                and in_scope(row.metadata, scope)
                and (not query.values or _holds(row.values, query.values))
            )

        needed = ids is not None or query.status or query.values or scope
        return self._ledger.threads.search(query, metadata=query.metadata, keep=keep if needed else None)

    async def patch(self, thread_id: str, *, metadata: Json, scope: Scope) -> Thread:
        thread = self._ledger.thread(thread_id, scope)
        merged = {**thread.metadata, **metadata}
        self._ledger.threads.put(replace(thread, metadata=merged, updated_at=self._ledger.clock()))
        return self._ledger.thread(thread_id, {})

    async def delete(self, thread_id: str, *, scope: Scope) -> None:
        self._ledger.thread(thread_id, scope)
        self._ledger.drop_thread(thread_id)

    @asynccontextmanager
    async def hold(self, thread_id: str, *, scope: Scope) -> AsyncIterator[Thread]:
        thread = self._ledger.thread(thread_id, scope)
        if self._ledger.inflight_of(thread_id) or not self._ledger.schedule.hold(thread_id):
            raise ConflictError(f"Thread {thread_id} is busy: wait for its run to end, or cancel it, and try again")
        try:
            yield thread
        finally:
            self._ledger.schedule.unhold(thread_id)

    async def put_state(
        self, thread_id: str, state: ThreadState, *, status: ThreadStatus, metadata: Json, scope: Scope
    ) -> Thread:
        thread = self._ledger.thread(thread_id, scope)
        now = self._ledger.clock()
        busy = thread.status == "busy"
        changed = replace(
            thread,
            values=state.values,
            interrupts=state.interrupts,
            resting=status,
            status="busy" if busy else status,
            error=None,
            touched=True,
            metadata={**thread.metadata, **metadata},
            updated_at=now,
            state_updated_at=now,
        )
        self._ledger.threads.put(changed)
        return self._ledger.thread(thread_id, {})


def _holds(values: bytes | None, wanted: Json) -> bool:
    return values is not None and contains(orjson.loads(values), wanted)
