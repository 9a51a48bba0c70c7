"""The rows that threads, runs and the queue share, and the moves that touch more than one of them.

Nothing here awaits, so each move is one transaction.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fast_graph.backends.memory.schedule import Schedule
from fast_graph.backends.memory.table import Table
from fast_graph.backends.standby import Standby
from fast_graph.model.clock import Clock
from fast_graph.model.errors import CapacityError, LeaseLostError, NotFoundError
from fast_graph.model.lifecycle import CancelAction
from fast_graph.model.match import in_scope
from fast_graph.model.records import Lease, Run, Scope, Thread, Wish

THREAD_JSON = ("metadata", "config", "interrupts")
RUN_JSON = ("metadata",)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much a process keeps in memory before it refuses, or drops what is finished."""

    threads: int = 100_000
    """Threads in all; more are refused."""
    pending_runs: int = 10_000
    """Runs that wait to start; more are refused."""
    runs_per_thread: int = 1_000
    """Finished runs kept on one thread; the oldest go."""
    stream_bytes: int = 64 * 1024 * 1024
    """Text kept of one run's stream; the oldest events go."""
    kept_stream_bytes: int = 256 * 1024 * 1024
    """Text kept of all finished resumable streams; the oldest streams go."""
    stream_ttl: float = 120.0
    """Seconds a finished resumable stream can still be read."""


@dataclass
class Claim:
    """Who executes a run, by which token, until when."""

    worker: str
    token: int
    expires_at: datetime


class Ledger:
    """Threads, runs, claims and the schedule, kept consistent."""

    def __init__(self, clock: Clock, bounds: Bounds) -> None:
        self.clock = clock
        self.bounds = bounds
        self.threads: Table[Thread] = Table(Thread, "thread_id", THREAD_JSON)
        self.runs: Table[Run] = Table(Run, "run_id", RUN_JSON)
        self.runs_of: dict[str, dict[str, None]] = {}
        self.inflight: dict[str, dict[str, None]] = {}
        self.claims: dict[str, Claim] = {}
        self.tokens: dict[str, int] = {}
        self.wishes: dict[str, Wish] = {}
        self.schedule = Schedule()
        self.standby = Standby()
        self.shares: Counter[tuple[str, str | None]] = Counter()
        """How many runs in flight are counted by caller and by graph."""
        self._inflight_count = 0

    def thread(self, thread_id: str, scope: Scope) -> Thread:
        """The thread, if it is in scope. Raises NotFoundError."""
        found = self.threads.get(thread_id)
        if found is None or not in_scope(found.metadata, scope):
            raise NotFoundError(f"Thread {thread_id} not found")
        return found

    def run(self, run_id: str, scope: Scope) -> Run:
        """The run, if its thread is in scope. Raises NotFoundError."""
        found = self.runs.get(run_id)
        if found is None or (scope and not self._visible(found.thread_id, scope)):
            raise NotFoundError("Run not found")
        return found

    def _visible(self, thread_id: str, scope: Scope) -> bool:
        thread = self.threads.get(thread_id)
        return thread is not None and in_scope(thread.metadata, scope)

    def add_thread(self, thread: Thread) -> None:
        """Insert a thread that is not there yet. Raises CapacityError."""
        if len(self.threads) >= self.bounds.threads:
            raise CapacityError(
                f"The memory backend holds {self.bounds.threads} threads and takes no more: delete or prune some, "
                "or use a durable backend"
            )
        self.threads.put(thread)

    def add_run(self, run: Run) -> None:
        """Insert a pending run and queue it."""
        self.runs.put(run)
        self.runs_of.setdefault(run.thread_id, {})[run.run_id] = None
        self.inflight.setdefault(run.thread_id, {})[run.run_id] = None
        self._inflight_count += 1
        self.shares.update(_shares(run))
        self.schedule.add(run)

    def inflight_of(self, thread_id: str) -> Sequence[Run]:
        """The thread's pending and running runs, oldest first."""
        found = (self.runs.get(run_id) for run_id in self.inflight.get(thread_id, ()))
        return [run for run in found if run is not None]

    def stop(self, run: Run, action: CancelAction, superseded_by: str | None = None) -> Run:
        """End a pending run, or leave a wish for the holder of a running one; the run as it stands then."""
        if run.status == "running":
            self._wish(run.run_id, Wish(action=action, superseded_by=superseded_by))
            return run
        self.schedule.remove(run)
        if action == "rollback":
            self.drop_run(run)
            ended = replace(run, status="interrupted")
        else:
            ended = self.end_run(run, status="interrupted", error=None)
        self.settle(run)
        return ended

    def _wish(self, run_id: str, wish: Wish) -> None:
        earlier = self.wishes.get(run_id)
        if earlier is None or wish.action == "rollback":
            self.wishes[run_id] = wish

    def end_run(self, run: Run, **changes: Any) -> Run:
        """Write a terminal status and forget what only a run in flight needs."""
        ended = replace(run, **changes, updated_at=self.clock())
        self.runs.put(ended)
        self._leave_queue(run)
        self._trim(run.thread_id)
        return ended

    def drop_run(self, run: Run) -> None:
        """Remove a run's row and all that hangs on it."""
        if run.status == "pending":
            self.schedule.remove(run)
        self.runs.pop(run.run_id)
        self._leave_queue(run)
        of_thread = self.runs_of.get(run.thread_id, {})
        of_thread.pop(run.run_id, None)
        if not of_thread:
            self.runs_of.pop(run.thread_id, None)

    def _leave_queue(self, run: Run) -> None:
        held = self.claims.pop(run.run_id, None)
        self.tokens.pop(run.run_id, None)
        self.wishes.pop(run.run_id, None)
        lane = self.inflight.get(run.thread_id, {})
        if run.run_id in lane:
            del lane[run.run_id]
            self._inflight_count -= 1
            self._give_back(run)
        if not lane:
            self.inflight.pop(run.thread_id, None)
        if held is not None:
            self.schedule.free(run.thread_id)

    def _give_back(self, run: Run) -> None:
        for share in _shares(run):
            self.shares[share] -= 1
            if not self.shares[share]:
                del self.shares[share]

    def _trim(self, thread_id: str) -> None:
        of_thread = self.runs_of[thread_id]
        while len(of_thread) - len(self.inflight.get(thread_id, ())) > self.bounds.runs_per_thread:
            oldest = next(run_id for run_id in of_thread if not self._is_inflight(run_id, thread_id))
            self.runs.pop(oldest)
            del of_thread[oldest]

    def _is_inflight(self, run_id: str, thread_id: str) -> bool:
        return run_id in self.inflight.get(thread_id, ())

    def settle(self, run: Run, **changes: Any) -> None:
        """Give the run's thread the status that its runs in flight amount to; a temporary thread goes.

        It stays while other runs are in flight on it: somebody found a use for it.
        """
        thread = self.threads.get(run.thread_id)
        if thread is None:
            return
        if run.temporary and run.thread_id not in self.inflight:
            self.drop_thread(run.thread_id)
            return
        thread = replace(thread, **changes, updated_at=self.clock())
        status = "busy" if run.thread_id in self.inflight else thread.resting
        self.threads.put(replace(thread, status=status))

    def drop_thread(self, thread_id: str) -> None:
        """Remove a thread and all its runs."""
        for run_id in list(self.runs_of.get(thread_id, ())):
            run = self.runs.get(run_id)
            if run is not None:
                self.drop_run(run)
        self.threads.pop(thread_id)

    def claim(self, run_id: str, worker: str, expires_at: datetime) -> Lease:
        """Make a pending run that the schedule has started this worker's."""
        run = self.runs.get(run_id)
        if run is None:
            raise NotFoundError("Run not found")
        token = self.tokens.get(run_id, 0) + 1
        self.tokens[run_id] = token
        self.claims[run_id] = Claim(worker, token, expires_at)
        run = replace(run, status="running", attempt=run.attempt + 1, due_at=None, updated_at=self.clock())
        self.runs.put(run)
        return Lease(run=run, worker=worker, token=token, expires_at=expires_at, wish=self.wishes.get(run_id))

    def held(self, lease: Lease) -> Run:
        """The leased run, if the lease is its present one. Raises LeaseLostError."""
        claim = self.claims.get(lease.run.run_id)
        run = self.runs.get(lease.run.run_id)
        if run is None or claim is None or claim.token != lease.token:
            raise LeaseLostError(f"The lease of run {lease.run.run_id} is no longer held by {lease.worker}")
        return run

    def is_held(self, run_id: str, token: int) -> bool:
        """Whether the token is that of the run's present lease."""
        claim = self.claims.get(run_id)
        return claim is not None and claim.token == token

    def requeue(self, run: Run, *, due_at: datetime | None, attempt: int) -> None:
        """Make a running run pending again. Its token stays, so that the next claim's is higher."""
        del self.claims[run.run_id]
        pending = replace(run, status="pending", attempt=attempt, due_at=due_at, updated_at=self.clock())
        self.runs.put(pending)
        self.schedule.free(run.thread_id)
        self.schedule.add(pending)

    @property
    def pending(self) -> int:
        """How many runs wait to start."""
        return self._inflight_count - len(self.claims)


def _shares(run: Run) -> Sequence[tuple[str, str | None]]:
    """Under what the run is counted."""
    return [share for share in (("caller", run.caller), ("graph", run.graph_id)) if share[1] is not None]
