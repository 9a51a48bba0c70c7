"""The heartbeat: keeps a worker's leases, hears what is wished of its runs, takes back what others have lost."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

from fast_graph.engine.execution import Execution
from fast_graph.model.errors import UnavailableError
from fast_graph.model.records import Lease, Renewal
from fast_graph.storage.queue import RunQueue

MERCY = 2
"""How many leases long nobody's is taken away after a heartbeat failed: the others may still be on their way back."""

log = logging.getLogger("fast_graph.engine")


@dataclass(frozen=True, kw_only=True)
class Beat:
    """What one heartbeat brought."""

    renewals: Sequence[tuple[Execution, Renewal]]
    reaped: Sequence[Lease]


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How a heart beats. Times in seconds."""

    every: float
    retry: float
    """Pause after the backend failed."""
    lease_for: timedelta
    max_attempts: int


class Heart:
    """Beats in the loop of its worker, or, if the backend has a queue for one, in a loop on a thread of its own.

    There, a node that blocks the worker's loop cannot cost it its leases.
    """

    def __init__(
        self, rhythm: Rhythm, *, executions: Callable[[], Sequence[Execution]], hear: Callable[[Beat], None]
    ) -> None:
        self._rhythm = rhythm
        self._executions = executions
        self._hear = hear
        self._worker_loop = self._loop = asyncio.get_running_loop()
        self._pulse = asyncio.Event()
        self._stopped = False
        self._merciful_until = float("-inf")

    def ring(self) -> None:
        """Beat at once."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nothing is left to be renewed
            self._loop.call_soon_threadsafe(self._pulse.set)

    def stop(self) -> None:
        """Beat no more."""
        self._stopped = True
        self.ring()

    async def beat_here(self, queue: RunQueue) -> None:
        """Beat in the worker's loop until stopped."""
        await self._beat_with(queue)

    async def beat_apart(self, opening: AbstractAsyncContextManager[RunQueue]) -> None:
        """Beat on a thread until stopped."""
        await asyncio.to_thread(asyncio.run, self._live_apart(opening))

    async def _live_apart(self, opening: AbstractAsyncContextManager[RunQueue]) -> None:
        self._loop, self._pulse = asyncio.get_running_loop(), asyncio.Event()
        async with opening as queue:
            await self._beat_with(queue)

    async def _beat_with(self, queue: RunQueue) -> None:
        while not self._stopped:
            self._pulse.clear()
            patience = self._rhythm.every if await self._has_beaten(queue) else self._rhythm.retry
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._pulse.wait()

    async def _has_beaten(self, queue: RunQueue) -> bool:
        try:
            await self._beat(queue)
        except UnavailableError as error:
            log.warning("heartbeat failed: %s", error)
        except Exception:  # the backend is a stranger, and it may come back
            log.exception("heartbeat failed")
        else:
            return True
        self._merciful_until = self._now() + MERCY * self._rhythm.lease_for.total_seconds()
        return False

    async def _beat(self, queue: RunQueue) -> None:
        """Renew every lease, then take back what others have lost.

        In this order, so that a worker that stood still renews its own leases before it reaps them. After a time in
        which nobody could renew, the others get some time to do so.
        """
        executions = list(self._executions())
        leases = [execution.lease for execution in executions]
        renewals = await queue.renew(leases, lease_for=self._rhythm.lease_for) if leases else ()
        self._tell(Beat(renewals=list(zip(executions, renewals, strict=True)), reaped=()))
        if self._now() < self._merciful_until:
            return
        reaped = await queue.reap(max_attempts=self._rhythm.max_attempts)
        self._tell(Beat(renewals=(), reaped=reaped))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _tell(self, beat: Beat) -> None:
        if self._loop is self._worker_loop:
            self._hear(beat)
        else:
            self._worker_loop.call_soon_threadsafe(self._hear, beat)
