"""The memory backend keeps every promise of the ports, and LangGraph's of a checkpointer."""

from collections.abc import AsyncIterator

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from fast_graph import testing
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from fast_graph.backends.memory.ledger import Bounds
from fast_graph.storage.backend import Stores

BOUNDS = Bounds(threads=30, pending_runs=20, stream_bytes=2000)


@pytest.fixture
def clock() -> testing.OwnedClock:
    return testing.OwnedClock()


@pytest.fixture
async def stores(clock: testing.OwnedClock) -> AsyncIterator[Stores]:
    async with MemoryBackend(clock=clock, bounds=BOUNDS).connect() as stores:
        yield stores


class TestAssistants(testing.AssistantStoreConformance): ...


class TestThreads(testing.ThreadStoreConformance):
    most_threads = BOUNDS.threads


class TestRuns(testing.RunStoreConformance):
    most_pending = BOUNDS.pending_runs


class TestQueue(testing.RunQueueConformance): ...


class TestStreams(testing.StreamLogConformance):
    log_bytes, log_ttl = BOUNDS.stream_bytes, BOUNDS.stream_ttl


class TestSignals(testing.SignalsConformance): ...


class TestItems(testing.ItemStoreConformance): ...


class TestCheckpoints(testing.CheckpointerConformance): ...


TestQueueMachine = testing.run_queue_machine(lambda clock: MemoryBackend(clock=clock).connect())


async def test_langgraphs_own_suite_finds_nothing() -> None:
    @checkpointer_test(name="memory")
    async def saver() -> AsyncIterator[MemoryCheckpointer]:
        yield MemoryCheckpointer()

    report = (await validate(saver)).to_dict()["results"]
    assert [name for name, result in report.items() if not result["passed"]] == []
    assert len(report) == 8
