"""The workers of this process that take runs as they are created: where creation and claiming meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from fast_graph.model.records import Lease, Run
from fast_graph.storage.queue import Claimant


class Offer:
    """A slot that a claimant keeps for one run while it is being created."""

    def __init__(self, claimant: Claimant) -> None:
        self.worker = claimant.name
        self.lease: Lease | None = None
        """Set it once the run was claimed."""
        self._lease_for = claimant.lease_for

    def until(self, now: datetime) -> datetime:
        """When a lease that begins now ends."""
        return now + self._lease_for


class Standby:
    """Who stands by."""

    def __init__(self) -> None:
        self._claimants: list[Claimant] = []

    @contextmanager
    def enlist(self, claimant: Claimant) -> Iterator[None]:
        """Ask the claimant about new runs while the context lasts."""
        self._claimants.append(claimant)
        try:
            yield
        finally:
            self._claimants.remove(claimant)

    @contextmanager
    def offer(self, run: Run) -> Iterator[Offer | None]:
        """A slot for a run that is created within the context, if it can start at once and somebody has one.

        At the end of the context, whose slot it is gets the lease, or the slot back.
        """
        claimant = next((one for one in self._claimants if run.due_at is None and one.reserve()), None)
        if claimant is None:
            yield None
            return
        offer = Offer(claimant)
        try:
            yield offer
        finally:
            if offer.lease is None:
                claimant.waive()
            else:
                claimant.take(offer.lease)
