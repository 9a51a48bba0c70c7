"""Runs in memory, as their owners see them."""

from collections.abc import Sequence
from dataclasses import replace

from fast_graph.backends.memory.ledger import Ledger
from fast_graph.model.errors import CapacityError, ConflictError, NotFoundError
from fast_graph.model.lifecycle import CancelAction
from fast_graph.model.match import in_scope
from fast_graph.model.queries import RunQuery
from fast_graph.model.quota import DISPLACING, UNLIMITED, Counts, Quota, check_quota
from fast_graph.model.records import Created, Json, Page, Run, Scope, Thread

SHARED_METADATA = ("graph_id", "assistant_id")


class MemoryRuns:
    """The reference of the RunStore port."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def create(
        self,
        run: Run,
        *,
        create_thread: Thread | None,
        thread_config: Json,
        scope: Scope,
        quota: Quota = UNLIMITED,
    ) -> Created:
        ledger = self._ledger
        if quota != UNLIMITED:
            self._check_quota(run, quota)
        if run.run_id in ledger.runs:
            raise ConflictError(f"Run {run.run_id} already exists")
        if ledger.pending >= ledger.bounds.pending_runs:
            raise CapacityError(f"{ledger.bounds.pending_runs} runs are waiting already: try again later")
        existing = ledger.threads.get(run.thread_id)
        if existing is None and create_thread is None:
            raise NotFoundError(f"Thread {run.thread_id} not found")
        if existing is not None and not in_scope(existing.metadata, scope):
            raise NotFoundError(f"Thread {run.thread_id} not found")
        inflight = ledger.inflight_of(run.thread_id)
        if inflight and run.multitask_strategy == "reject":
            raise ConflictError(
                f"Thread {run.thread_id} has a run in flight: wait for it, or choose another multitask strategy"
            )
        if existing is None and create_thread is not None:
            ledger.add_thread(create_thread)
        ledger.add_run(run)
        displaced = self._displace(inflight, run)
        self._mark_busy(run, thread_config)
        return Created(run=run, displaced=displaced, claimed=self._claim(run))

    def _claim(self, run: Run) -> bool:
        ledger, now = self._ledger, self._ledger.clock()
        with ledger.standby.offer(run) as offer:
            if offer is None or not ledger.schedule.take_one(run, now):
                return False
            offer.lease = ledger.claim(run.run_id, offer.worker, offer.until(now))
        return True

    def _check_quota(self, run: Run, quota: Quota) -> None:
        leaving = self._ledger.inflight_of(run.thread_id) if run.multitask_strategy in DISPLACING else ()
        counts = Counts(
            pending=self._ledger.pending - sum(other.status == "pending" for other in leaving),
            of_caller=self._ledger.shares["caller", run.caller] - sum(one.caller == run.caller for one in leaving),
            of_graph=self._ledger.shares["graph", run.graph_id] - sum(one.graph_id == run.graph_id for one in leaving),
        )
        check_quota(run, quota, counts)

    def _displace(self, inflight: Sequence[Run], run: Run) -> Sequence[Run]:
        action = run.multitask_strategy
        if action == "interrupt" or action == "rollback":
            return [self._ledger.stop(other, action, superseded_by=run.run_id) for other in inflight]
        return []

    def _mark_busy(self, run: Run, config: Json) -> None:
        thread = self._ledger.thread(run.thread_id, {})
        shared = {key: run.metadata[key] for key in SHARED_METADATA if key in run.metadata}
        busy = replace(
            thread,
            status="busy",
            config=config,
            metadata={**thread.metadata, **shared},
            updated_at=self._ledger.clock(),
        )
        self._ledger.threads.put(busy)

    async def get(self, run_id: str, *, thread_id: str | None, scope: Scope) -> Run:
        run = self._ledger.run(run_id, scope)
        if thread_id not in (None, run.thread_id):
            raise NotFoundError("Run not found")
        return run

    async def search(self, query: RunQuery, *, scope: Scope) -> Page[Run]:
        self._ledger.thread(query.thread_id, scope)
        found = [self._ledger.run(run_id, {}) for run_id in self._ledger.runs_of.get(query.thread_id, ())]
        rows = [run for run in found if query.status in (None, run.status)]
        if query.sort_order == "desc":
            rows.reverse()
        return Page(rows=rows[query.offset : query.offset + query.limit], total=len(rows))

    async def inflight(self, *, thread_id: str | None, scope: Scope) -> Sequence[Run]:
        threads = [thread_id] if thread_id is not None else list(self._ledger.inflight)
        runs = [run for thread in threads for run in self._ledger.inflight_of(thread)]
        seen = [run for run in runs if in_scope(self._ledger.thread(run.thread_id, {}).metadata, scope)]
        return sorted(seen, key=lambda run: (run.created_at, run.run_id))

    async def request_cancel(self, run_ids: Sequence[str], action: CancelAction, *, scope: Scope) -> Sequence[Run]:
        wanted = set(run_ids)
        return [
            self._ledger.stop(run, action)
            for run in await self.inflight(thread_id=None, scope=scope)
            if run.run_id in wanted
        ]

    async def delete(self, run_id: str, *, thread_id: str, scope: Scope) -> Run:
        run = await self.get(run_id, thread_id=thread_id, scope=scope)
        self._ledger.drop_run(run)
        self._ledger.settle(run)
        return run
