"""The worker: claims runs as slots come free, keeps their leases, and hands them over when it stops."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from fast_graph.engine.execution import Execution, Tools
from fast_graph.engine.heart import Beat, Heart, Rhythm
from fast_graph.engine.insisting import insist
from fast_graph.graphs.serde import encode
from fast_graph.model.clock import Clock
from fast_graph.model.errors import NotFoundError, UnavailableError
from fast_graph.model.records import Lease, Run, dead_letter
from fast_graph.storage.queue import RunQueue
from fast_graph.storage.signals import CancelRequested, RunsReady, Signal, Signals

FAR_OFF = datetime.max.replace(tzinfo=UTC)
"""When a run is due that nobody knows of."""

LEAST_REST = 0.01
"""Seconds between two looks for a run that is due, but not yet by the backend's clock."""

EAGER = 16
"""Runs under way below which a worker takes what its own process creates, without a way through the queue. Beyond that
whoever is free claims them, so that processes share the work that one of them accepts.
"""

HANDFUL = 64
"""Runs claimed at a time, for the same reason."""

INSISTENCE = 10
"""How often a run that swallows its cancellation is cancelled again while the worker drains."""

log = logging.getLogger("fast_graph.engine")


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a worker works. Times in seconds."""

    name: str
    slots: int = 512
    """Runs executed at a time."""
    lease: float = 30.0
    """How long a run stays this worker's after its last heartbeat."""
    heartbeat: float = 10.0
    poll: float = 5.0
    """How long a lost doorbell can delay a run."""
    max_attempts: int = 3
    """How often a run is claimed before it is given up."""
    drain: float = 10.0
    """How long a stopping worker lets runs come to their next checkpoint."""
    retry: float = 1.0
    """Pause after the backend failed."""


class Worker:
    """Executes runs until it is drained."""

    def __init__(
        self,
        tools: Tools,
        *,
        signals: Signals,
        clock: Clock,
        options: WorkerOptions,
        apart: Callable[[], AbstractAsyncContextManager[RunQueue] | None] = lambda: None,
    ) -> None:
        """``apart`` opens the queue for a heartbeat on a thread of its own, if the backend can do that."""
        self._tools = tools
        self._queue = tools.queue
        self._signals = signals
        self._clock = clock
        self._options = options
        self.name = options.name
        self.lease_for = timedelta(seconds=options.lease)
        self._running: dict[str, Execution] = {}
        self._reserved = 0
        """Slots of runs that are being created."""
        self._asked = 0
        """Slots for which a claim is under way."""
        self._group: asyncio.TaskGroup | None = None
        self._apart = apart
        self._bell = asyncio.Event()
        self._idle = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._draining = False
        self._due: datetime | None = None
        """When the next delayed run is due, as far as is known; None if that has to be asked."""

    @property
    def running(self) -> Mapping[str, Execution]:
        """The executions that go on now, by run id."""
        return self._running

    def retire(self) -> None:
        """Claim no more, and let runs come to their next checkpoint; ``working`` waits for them at its end."""
        self._draining = True
        for execution in list(self._running.values()):
            execution.drain("shutdown")

    @asynccontextmanager
    async def working(self) -> AsyncIterator["Worker"]:
        """Claim and execute while the context lasts; at its end, drain."""
        # Each life has its own event loop, perhaps.
        self._bell, self._idle = asyncio.Event(), asyncio.Event()
        self._claiming = asyncio.Lock()
        self._draining = False
        lost: asyncio.Queue[Lease] = asyncio.Queue()
        heart = self._heart(lost)
        async with asyncio.TaskGroup() as group:
            self._group = group
            beating = group.create_task(self._beat(heart))
            loops = [
                group.create_task(self._forever(lambda: self._claim(group))),
                group.create_task(self._forever(lambda: self._take_over(lost))),
            ]
            with self._queue.stand_by(self), self._signals.listen(lambda signal: self._hear(signal, heart)):
                try:
                    yield self
                finally:
                    await self._drain()
                    self._group = None
            for loop in loops:
                loop.cancel()
            heart.stop()
            await beating

    def _heart(self, lost: asyncio.Queue[Lease]) -> Heart:
        def hear(beat: Beat) -> None:
            for execution, renewal in beat.renewals:
                execution.heard(renewal)
            for lease in beat.reaped:
                lost.put_nowait(lease)

        options = self._options
        rhythm = Rhythm(
            every=options.heartbeat,
            retry=options.retry,
            lease_for=self.lease_for,
            max_attempts=options.max_attempts,
        )
        return Heart(rhythm, executions=lambda: list(self._running.values()), hear=hear)

    async def _beat(self, heart: Heart) -> None:
        opening = self._apart()
        if opening is None:
            await heart.beat_here(self._queue)
        else:
            await heart.beat_apart(opening)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step; a failing backend is reported and tried again."""
        while True:
            try:
                await step()
                continue
            except UnavailableError as error:
                log.warning("backend failed: worker=%s: %s", self.name, error)
            except Exception:  # the backend is a stranger, and it may come back
                log.exception("backend failed: worker=%s", self.name)
            await asyncio.sleep(self._options.retry)

    def _hear(self, signal: Signal, heart: Heart) -> None:
        match signal:
            case RunsReady(due_at):
                if due_at is not None and self._due is not None:
                    self._due = min(self._due, due_at)
                self._bell.set()
            case CancelRequested(run_ids):
                if not self._running.keys().isdisjoint(run_ids):
                    heart.ring()

    def reserve(self) -> bool:
        """Whether a run that is being created may be taken, as ``Claimant`` says."""
        if self._draining or self._taken >= EAGER or self._taken + self._asked >= self._options.slots:
            return False
        self._reserved += 1
        self._idle.clear()
        return True

    def take(self, lease: Lease) -> None:
        """Execute a run for which a slot is reserved. A worker that has ended leaves it: others take it over."""
        self._reserved -= 1
        if self._group is not None:
            self._start(self._group, lease)

    def waive(self) -> None:
        """Free a slot that was reserved."""
        self._reserved -= 1
        self._slot_is_free(was_full=self._taken + 1 >= self._options.slots)

    @property
    def _taken(self) -> int:
        """How many slots are."""
        return len(self._running) + self._reserved

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        """Fill the free slots; if that was all there is, wait for the bell, or for the next delayed run."""
        self._bell.clear()
        async with self._claiming:
            free = 0 if self._draining else min(self._options.slots - self._taken, HANDFUL)
            leases = await self._ask(free) if free else ()
            for lease in leases:
                self._start(group, lease)
        if len(leases) < free:
            if self._due is None or self._due <= self._clock():
                self._due = await self._queue.next_due() or FAR_OFF
            await self._rest(self._due)
        elif not free:  # without a slot, it is the bell that matters
            await self._rest(FAR_OFF)

    async def _ask(self, slots: int) -> Sequence[Lease]:
        self._asked = slots
        try:
            return await self._queue.claim(self.name, limit=slots, lease_for=self.lease_for)
        finally:
            self._asked = 0

    async def _rest(self, due: datetime) -> None:
        patience = min(self._options.poll, max(LEAST_REST, (due - self._clock()).total_seconds()))
        if not await _wait(self._bell, patience):
            self._due = None  # the news of a delayed run may have been lost, as may the bell

    def _start(self, group: asyncio.TaskGroup, lease: Lease) -> None:
        execution = Execution(lease, self._tools)
        self._running[lease.run.run_id] = execution
        self._idle.clear()
        if self._draining:  # it was being claimed at that moment
            execution.drain("shutdown")
        group.create_task(self._execute(execution))

    async def _execute(self, execution: Execution) -> None:
        run_id = execution.lease.run.run_id
        try:
            await execution.run()
        except Exception:  # the lease runs out, and the run is taken up again
            log.exception("execution failed: %s", execution)
        finally:
            was_full = self._taken >= self._options.slots
            del self._running[run_id]
            self._slot_is_free(was_full=was_full or execution.others_wait)
        if self._draining:  # what comes next is for others, and so is this run if it was not at its end
            await self._signals.send(RunsReady())

    def _slot_is_free(self, *, was_full: bool) -> None:
        if not self._taken:
            self._idle.set()
        if was_full:
            self._bell.set()

    async def _take_over(self, lost: asyncio.Queue[Lease]) -> None:
        """Have a run that lost its worker claimed again, or tell its readers that it is not."""
        lease = await lost.get()
        log.warning("lease expired: run=%s worker=%s", lease.run.run_id, lease.worker)
        run = await insist(lambda: self._find(lease))
        if run is not None and run.error is None:
            await self._signals.send(RunsReady())
        else:
            await insist(lambda: self._bury(lease.run, run))

    async def _bury(self, lost: Run, left: Run | None) -> None:
        """Tell the readers of a run that is not tried again. One with a thread of its own has left nothing else."""
        if left is None and lost.temporary:
            await self._tools.scratch.adelete_thread(lost.thread_id)
        error = (left and left.error) or dead_letter(lost)
        result = encode({"__error__": asdict(error)})
        await self._tools.streams.close(lost.run_id, result, keep=lost.resumable)

    async def _find(self, lease: Lease) -> Run | None:
        try:
            return await self._tools.runs.get(lease.run.run_id, thread_id=None, scope={})
        except NotFoundError:
            return None

    async def _drain(self) -> None:
        """Claim no more; let runs come to their next checkpoint, then stop those that are left."""
        self.retire()
        async with self._claiming:  # what is being claimed at this moment is waited for, too
            pass
        await self._until_idle(self._options.drain)
        for _ in range(INSISTENCE):
            for execution in list(self._running.values()):
                execution.stop("shutdown")
            await self._until_idle(self._options.drain / INSISTENCE)
        for execution in list(self._running.values()):
            execution.abandon()

    async def _until_idle(self, patience: float) -> None:
        if self._taken:
            await _wait(self._idle, patience)


async def _wait(event: asyncio.Event, patience: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            return await event.wait()
    return False
