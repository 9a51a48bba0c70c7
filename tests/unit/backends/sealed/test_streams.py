from base64 import b64encode
from collections.abc import Sequence

import pytest

from fast_graph import testing
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.memory.streams import MemoryStreams
from fast_graph.backends.sealed.cipher import Keyring
from fast_graph.backends.sealed.streams import SealedStreams
from fast_graph.model.errors import UnavailableError
from fast_graph.model.records import Event, Lease
from fast_graph.testing.rows import add_running


class Doubtful(MemoryStreams):
    """Says of the first append that nobody knows what became of it."""

    def __init__(self, clock: testing.OwnedClock) -> None:
        super().__init__(clock, MemoryBackend().bounds)
        self.appended: list[Sequence[Event]] = []

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        self.appended.append(events)
        if len(self.appended) == 1:
            raise UnavailableError("Away")
        await super().append(lease, events)


async def test_events_that_are_appended_again_are_the_same_bytes() -> None:
    """A log that has them already knows them by these."""
    clock = testing.OwnedClock()
    streams = Doubtful(clock)
    sealed = SealedStreams(streams, Keyring([b64encode(bytes(32)).decode()]))
    async with MemoryBackend(clock=clock).connect() as stores:
        lease = await add_running(stores, clock)
    await sealed.open(lease)
    events = [Event("values", b"{}")]
    with pytest.raises(UnavailableError):
        await sealed.append(lease, events)
    await sealed.append(lease, events)
    await sealed.append(lease, events)
    first, again, another = streams.appended
    assert first == again != another
