"""The queue in memory."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from fast_graph.backends.memory.ledger import Ledger
from fast_graph.model.records import Lease, Outcome, Renewal, Run, dead_letter
from fast_graph.storage.queue import Claimant


class MemoryQueue:
    """The reference of the RunQueue port."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def stand_by(self, claimant: Claimant) -> AbstractContextManager[None]:
        return self._ledger.standby.enlist(claimant)

    async def claim(self, worker: str, *, limit: int, lease_for: timedelta) -> Sequence[Lease]:
        now = self._ledger.clock()
        started = self._ledger.schedule.take(now, limit)
        return [self._ledger.claim(run_id, worker, now + lease_for) for run_id in started]

    async def claim_run(self, run_id: str, worker: str, *, lease_for: timedelta) -> Lease | None:
        now = self._ledger.clock()
        run = self._ledger.runs.get(run_id)
        if run is None or not self._ledger.schedule.take_one(run, now):
            return None
        return self._ledger.claim(run_id, worker, now + lease_for)

    async def next_due(self) -> datetime | None:
        return self._ledger.schedule.next_due()

    async def renew(self, leases: Sequence[Lease], *, lease_for: timedelta) -> Sequence[Renewal]:
        until = self._ledger.clock() + lease_for
        return [self._renew(lease, until) for lease in leases]

    def _renew(self, lease: Lease, until: datetime) -> Renewal:
        run_id = lease.run.run_id
        claim = self._ledger.claims.get(run_id)
        if claim is None or claim.token != lease.token:
            return Renewal(fresh=False)
        claim.expires_at = until
        return Renewal(fresh=True, wish=self._ledger.wishes.get(run_id))

    async def finish(self, lease: Lease, outcome: Outcome) -> bool:
        run = self._ledger.held(lease)
        if outcome.forget:
            self._ledger.drop_run(run)
        else:
            failed = outcome.status in ("error", "timeout")
            self._ledger.end_run(run, status=outcome.status, error=outcome.error if failed else None)
        self._ledger.settle(run, **self._thread_changes(outcome))
        return run.thread_id in self._ledger.inflight

    def _thread_changes(self, outcome: Outcome) -> dict[str, Any]:
        changes: dict[str, Any] = {"resting": outcome.thread_status, "error": outcome.error, "touched": True}
        if outcome.state is not None:
            changes |= {"values": outcome.state.values, "interrupts": outcome.state.interrupts}
            changes["state_updated_at"] = self._ledger.clock()
        return changes

    async def release(self, lease: Lease, *, delay: timedelta) -> None:
        run = self._ledger.held(lease)
        due_at = self._ledger.clock() + delay if delay else None
        self._ledger.requeue(run, due_at=due_at, attempt=run.attempt - 1)

    async def reap(self, *, max_attempts: int) -> Sequence[Lease]:
        now = self._ledger.clock()
        expired = [run_id for run_id, claim in self._ledger.claims.items() if claim.expires_at <= now]
        return [self._reap(self._ledger.run(run_id, {}), max_attempts) for run_id in expired]

    def _reap(self, run: Run, max_attempts: int) -> Lease:
        claim, wish = self._ledger.claims[run.run_id], self._ledger.wishes.get(run.run_id)
        if run.attempt < (run.max_attempts or max_attempts) or wish is not None:
            self._ledger.requeue(run, due_at=None, attempt=run.attempt)
        else:
            error = dead_letter(run)
            self._ledger.end_run(run, status="error", error=error)
            self._ledger.settle(run, resting="error", error=error, touched=True)
        return Lease(run=run, worker=claim.worker, token=claim.token, expires_at=claim.expires_at, wish=wish)
