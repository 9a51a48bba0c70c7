"""Threads, runs and the queue of any backend, encrypted on the way in and opened on the way out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from fast_graph.backends.sealed.records import Seals
from fast_graph.model.errors import InvalidError
from fast_graph.model.lifecycle import CancelAction, ThreadStatus
from fast_graph.model.queries import RunQuery, ThreadQuery
from fast_graph.model.quota import UNLIMITED, Quota
from fast_graph.model.records import Created, Json, Lease, Outcome, Page, Renewal, Run, Scope, Thread, ThreadState
from fast_graph.storage.queue import Claimant, RunQueue
from fast_graph.storage.runs import RunStore
from fast_graph.storage.threads import ThreadStore


class SealedThreads:
    """The ThreadStore port. Metadata stays as it is, since threads are found by it; values find none."""

    def __init__(self, threads: ThreadStore, seals: Seals) -> None:
        self._threads = threads
        self._seals = seals

    async def create(self, thread: Thread) -> None:
        await self._threads.create(self._seals.seal_thread(thread))

    async def get(self, thread_id: str, *, scope: Scope) -> Thread:
        return self._seals.open_thread(await self._threads.get(thread_id, scope=scope))

    async def search(self, query: ThreadQuery, *, scope: Scope) -> Page[Thread]:
        """Raises InvalidError for a query by values."""
        if query.values:
            raise InvalidError("Threads cannot be searched by their values, which are encrypted: search by metadata")
        found = await self._threads.search(query, scope=scope)
        return replace(found, rows=[self._seals.open_thread(thread) for thread in found.rows])

    async def patch(self, thread_id: str, *, metadata: Json, scope: Scope) -> Thread:
        return self._seals.open_thread(await self._threads.patch(thread_id, metadata=metadata, scope=scope))

    async def delete(self, thread_id: str, *, scope: Scope) -> None:
        await self._threads.delete(thread_id, scope=scope)

    @asynccontextmanager
    async def hold(self, thread_id: str, *, scope: Scope) -> AsyncIterator[Thread]:
        async with self._threads.hold(thread_id, scope=scope) as thread:
            yield self._seals.open_thread(thread)

    async def put_state(
        self, thread_id: str, state: ThreadState, *, status: ThreadStatus, metadata: Json, scope: Scope
    ) -> Thread:
        sealed = self._seals.seal_state(state)
        shown = await self._threads.put_state(thread_id, sealed, status=status, metadata=metadata, scope=scope)
        return self._seals.open_thread(shown)


class SealedRuns:
    """The RunStore port."""

    def __init__(self, runs: RunStore, seals: Seals) -> None:
        self._runs = runs
        self._seals = seals

    async def create(
        self,
        run: Run,
        *,
        create_thread: Thread | None,
        thread_config: Json,
        scope: Scope,
        quota: Quota = UNLIMITED,
    ) -> Created:
        created = await self._runs.create(
            self._seals.seal_run(run),
            create_thread=create_thread and self._seals.seal_thread(create_thread),
            thread_config=self._seals.seal_config(thread_config),
            scope=scope,
            quota=quota,
        )
        return replace(created, run=self._seals.open_run(created.run), displaced=self._opened(created.displaced))

    async def get(self, run_id: str, *, thread_id: str | None, scope: Scope) -> Run:
        return self._seals.open_run(await self._runs.get(run_id, thread_id=thread_id, scope=scope))

    async def search(self, query: RunQuery, *, scope: Scope) -> Page[Run]:
        found = await self._runs.search(query, scope=scope)
        return replace(found, rows=self._opened(found.rows))

    async def inflight(self, *, thread_id: str | None, scope: Scope) -> Sequence[Run]:
        return self._opened(await self._runs.inflight(thread_id=thread_id, scope=scope))

    async def request_cancel(self, run_ids: Sequence[str], action: CancelAction, *, scope: Scope) -> Sequence[Run]:
        return self._opened(await self._runs.request_cancel(run_ids, action, scope=scope))

    async def delete(self, run_id: str, *, thread_id: str, scope: Scope) -> Run:
        return self._seals.open_run(await self._runs.delete(run_id, thread_id=thread_id, scope=scope))

    def _opened(self, runs: Sequence[Run]) -> Sequence[Run]:
        return [self._seals.open_run(run) for run in runs]


class OpeningClaimant:
    """A claimant for whom leases are opened."""

    def __init__(self, claimant: Claimant, seals: Seals) -> None:
        self.name = claimant.name
        self.lease_for = claimant.lease_for
        self.reserve = claimant.reserve
        self.waive = claimant.waive
        self._take = claimant.take
        self._seals = seals

    def take(self, lease: Lease) -> None:
        """As the claimant does."""
        self._take(self._seals.open_lease(lease))


class SealedQueue:
    """The RunQueue port."""

    def __init__(self, queue: RunQueue, seals: Seals) -> None:
        self._queue = queue
        self._seals = seals

    def stand_by(self, claimant: Claimant) -> AbstractContextManager[None]:
        return self._queue.stand_by(OpeningClaimant(claimant, self._seals))

    async def claim(self, worker: str, *, limit: int, lease_for: timedelta) -> Sequence[Lease]:
        claimed = await self._queue.claim(worker, limit=limit, lease_for=lease_for)
        return [self._seals.open_lease(lease) for lease in claimed]

    async def claim_run(self, run_id: str, worker: str, *, lease_for: timedelta) -> Lease | None:
        lease = await self._queue.claim_run(run_id, worker, lease_for=lease_for)
        return lease and self._seals.open_lease(lease)

    async def next_due(self) -> datetime | None:
        return await self._queue.next_due()

    async def renew(self, leases: Sequence[Lease], *, lease_for: timedelta) -> Sequence[Renewal]:
        return await self._queue.renew(leases, lease_for=lease_for)

    async def finish(self, lease: Lease, outcome: Outcome) -> bool:
        return await self._queue.finish(lease, self._seals.seal_outcome(outcome))

    async def release(self, lease: Lease, *, delay: timedelta) -> None:
        await self._queue.release(lease, delay=delay)

    async def reap(self, *, max_attempts: int) -> Sequence[Lease]:
        return [self._seals.open_lease(lease) for lease in await self._queue.reap(max_attempts=max_attempts)]
