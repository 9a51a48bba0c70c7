"""The conformance suite: what every backend promises, as test classes that ship with FastGraph.

A backend is tested by a file of a few lines. It gives the fixtures ``clock`` (an OwnedClock) and ``stores``
(open, empty, and run by that clock: a backend under test must take its clock as an argument), and names the
classes::

    @pytest.fixture
    def clock() -> OwnedClock:
        return OwnedClock()

    @pytest.fixture
    async def stores(clock: OwnedClock) -> AsyncIterator[Stores]:
        async with MyBackend(clock=clock).connect() as stores:
            yield stores

    class TestThreads(ThreadStoreConformance): ...

It needs pytest, pytest-asyncio in its auto mode and hypothesis; nothing else in FastGraph imports this package.
"""
# ruff: noqa: E402 - pytest explains the failures of modules that it was told of before they were imported

import pytest

CONFORMANCE = ("assistants", "checkpoints", "queue", "rows", "runs", "signals", "stores", "streams", "threads")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in CONFORMANCE))

from fast_graph.testing.assistants import AssistantStoreConformance
from fast_graph.testing.checkpoints import CheckpointerConformance
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.faults import Crash, Fault, Latency, LossySignals, faulty, with_parts
from fast_graph.testing.queue import RunQueueConformance, RunQueueMachine, run_queue_machine
from fast_graph.testing.runs import RunStoreConformance
from fast_graph.testing.signals import SignalsConformance
from fast_graph.testing.stores import ItemStoreConformance
from fast_graph.testing.streams import StreamLogConformance
from fast_graph.testing.threads import ThreadStoreConformance

__all__ = [
    "AssistantStoreConformance",
    "CheckpointerConformance",
    "Crash",
    "Fault",
    "ItemStoreConformance",
    "Latency",
    "LossySignals",
    "OwnedClock",
    "RunQueueConformance",
    "RunQueueMachine",
    "RunStoreConformance",
    "SignalsConformance",
    "StreamLogConformance",
    "ThreadStoreConformance",
    "faulty",
    "run_queue_machine",
    "with_parts",
]
