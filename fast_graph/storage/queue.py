"""The port of the queue: a predicate over run rows, and leases with fencing tokens."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from fast_graph.model.records import Lease, Outcome, Renewal


class Claimant(Protocol):
    """A worker that takes runs as they are created in its own process. Plain calls, in the loop that creates them."""

    @property
    def name(self) -> str:
        """The worker, as ``claim`` is told it."""
        ...

    @property
    def lease_for(self) -> timedelta:
        """How long a lease is to last."""
        ...

    def reserve(self) -> bool:
        """Keep a slot for a run that is about to be created; False if there is none to spare.

        After True, ``take`` or ``waive`` is called, once.
        """
        ...

    def take(self, lease: Lease) -> None:
        """The run was claimed as it was created: execute it."""
        ...

    def waive(self) -> None:
        """It was not: the slot is free again."""
        ...


class RunQueue(Protocol):
    """What workers do with runs. At most one live lease per thread at any time."""

    def stand_by(self, claimant: Claimant) -> AbstractContextManager[None]:
        """While the context lasts, a run that is created here may be the claimant's from its first moment.

        That is as if it had been claimed right after its creation, which it must have been possible to do. A backend
        that would gain nothing by it never asks the claimant.
        """
        ...

    async def claim(self, worker: str, *, limit: int, lease_for: timedelta) -> Sequence[Lease]:
        """The oldest due pending runs whose thread has nothing running and is not held, at most ``limit``.

        Each becomes ``running``, its attempt and its token rise by one, and the lease ends after ``lease_for``.
        Never waits: an empty answer means that nothing can be claimed now.
        """
        ...

    async def claim_run(self, run_id: str, worker: str, *, lease_for: timedelta) -> Lease | None:
        """As ``claim``, for one run; ``None`` if it cannot be claimed now."""
        ...

    async def next_due(self) -> datetime | None:
        """When the first of the runs that were not due at the last claim is; ``None`` if there is none."""
        ...

    async def renew(self, leases: Sequence[Lease], *, lease_for: timedelta) -> Sequence[Renewal]:
        """Prolong leases, in one call; one answer per lease, in order.

        A lease that expired but was not reaped is renewed. ``fresh`` is false once the run was claimed again,
        finished, reaped or deleted.
        """
        ...

    async def finish(self, lease: Lease, outcome: Outcome) -> bool:
        """Write how the run ended, to the run and its thread, in one transaction; False if none waits there now.

        The thread is ``busy`` while other runs are in flight on it, else what the outcome says; a temporary
        run's thread goes with it, unless other runs are in flight on it. Raises LeaseLostError if the lease is
        not the run's present one.
        """
        ...

    async def release(self, lease: Lease, *, delay: timedelta) -> None:
        """Give the run back: pending again and due after ``delay``, at no cost to its attempts.

        Raises LeaseLostError.
        """
        ...

    async def reap(self, *, max_attempts: int) -> Sequence[Lease]:
        """Take back runs whose lease has expired, and return those leases.

        A run with attempts left is pending again; one that used up its own ``max_attempts``, or without such these,
        ends as ``error`` (the dead letter). One that was asked to stop is pending again in any case: its next holder
        sees the wish on the lease and does no more than that.
        """
        ...
