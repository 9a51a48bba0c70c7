"""A backend whose contents are encrypted keeps the promises of the ports, but for searching by what it cannot read."""

from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from fast_graph import testing
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.sealed.backend import SealedBackend
from fast_graph.model.errors import InvalidError
from fast_graph.model.queries import ThreadQuery
from fast_graph.storage.backend import Stores

KEYS = (b64encode(bytes(32)).decode(),)


@pytest.fixture
def clock() -> testing.OwnedClock:
    return testing.OwnedClock()


@pytest.fixture
async def stores(clock: testing.OwnedClock) -> AsyncIterator[Stores]:
    async with SealedBackend(backend=MemoryBackend(clock=clock), keys=KEYS).connect() as stores:
        yield stores


class TestThreads(testing.ThreadStoreConformance):
    async def test_a_search_finds_values_that_contain_the_given(
        self, stores: Stores, clock: testing.OwnedClock
    ) -> None:
        """It cannot, and says so."""
        with pytest.raises(InvalidError, match="encrypted"):
            await stores.threads.search(ThreadQuery(values={"count": 1}), scope={})


class TestRuns(testing.RunStoreConformance): ...


class TestQueue(testing.RunQueueConformance): ...


class TestStreams(testing.StreamLogConformance): ...


class TestItems(testing.ItemStoreConformance):
    async def test_a_search_looks_below_a_prefix_and_filters(self, stores: Stores) -> None:
        """It looks below a prefix; it cannot filter, and says so."""
        await stores.store.aput(("users", "ada"), "one", {"kind": "a"})
        await stores.store.aput(("other",), "two", {"kind": "a"})
        assert [item.value for item in await stores.store.asearch(("users",))] == [{"kind": "a"}]
        with pytest.raises(InvalidError, match="encrypted"):
            await stores.store.asearch(("users",), filter={"kind": "a"})


class TestCheckpoints(testing.CheckpointerConformance): ...
