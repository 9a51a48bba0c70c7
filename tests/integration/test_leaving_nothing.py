"""What a server keeps once its runs have ended: what clients asked it to keep, and no more."""

import asyncio
import gc
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from fast_graph import MemoryBackend, Runtime, fastGraph
from fast_graph.backends.memory.backend import MemoryStores
from fast_graph.engine.execution import Execution
from fast_graph.engine.publisher import Publisher
from fast_graph.services.streams import Feed
from fast_graph.testing.clock import OwnedClock
from tests.integration.graphs import GRAPHS
from tests.integration.serving import Site, serving, settings, streamed

ROUNDS = 125
"""Of eight runs each."""

LIVING = (Execution, Publisher, Feed)


class SharedBackend:
    """Memory whose parts the test holds, too."""

    name = "memory"

    def __init__(self, clock: OwnedClock) -> None:
        self.stores = MemoryBackend(clock=clock).connect()

    def connect(self) -> MemoryStores:
        """The parts."""
        return self.stores


def kept(runtime: Runtime, stores: MemoryStores) -> Mapping[str, int]:
    """How many of each thing there are."""
    ledger, saver, schedule = stores.ledger, stores.checkpointer, stores.ledger.schedule
    while gc.collect():
        pass
    return {
        "threads": len(ledger.threads),
        "runs": len(ledger.runs),
        "runs_of": len(ledger.runs_of),
        "inflight": len(ledger.inflight),
        "claims": len(ledger.claims),
        "tokens": len(ledger.tokens),
        "wishes": len(ledger.wishes),
        "lanes": len(schedule._lanes),  # noqa: SLF001 - what is left must be looked for inside
        "ready": len(schedule._ready),  # noqa: SLF001
        "delayed": len(schedule._delayed),  # noqa: SLF001
        "logs": len(stores.streams._logs),  # noqa: SLF001
        "kept logs": len(stores.streams._kept),  # noqa: SLF001
        "checkpointed threads": len(saver._threads),  # noqa: SLF001
        "checkpointed runs": len(saver._thread_of_run),  # noqa: SLF001
        "listeners": len(stores.signals._listeners),  # noqa: SLF001
        "executions": len(runtime.worker.running),
        "tasks": len(asyncio.all_tasks()),
        "living": sum(isinstance(thing, LIVING) for thing in gc.get_objects()),
    }


async def _round(site: Site, number: int) -> None:
    """One run of each kind."""
    client, given = site.client, {"input": {"count": 2}}
    waited = await client.post("/runs/wait", json={"assistant_id": "tokens", **given})
    assert waited.json()["log"] == ["said", "done"]
    await streamed(client, "/runs/stream", {"assistant_id": "tokens", "stream_mode": "custom", **given})
    resumable = {"assistant_id": "tokens", "stream_resumable": True, **given}
    await streamed(client, "/runs/stream", resumable)
    failing = {"assistant_id": "raising", "input": {"how": "value", "where": "middle"}}
    assert "__error__" in (await client.post("/runs/wait", json=failing)).json()
    await _cancelled(site, "/runs", {"assistant_id": "forever", "input": {}})

    thread = f"/threads/thread-{number}"
    stateful = {"assistant_id": "tokens", "if_not_exists": "create", **given}
    await streamed(client, thread + "/runs/stream", {**stateful, "stream_resumable": True})
    await _cancelled(site, thread + "/runs", {"assistant_id": "forever", "input": {}})
    await client.post(thread + "/runs/wait", json={"assistant_id": "ask", "input": {}})
    assert (await client.delete(thread)).status_code == 204


async def _cancelled(site: Site, path: str, body: Mapping[str, Any]) -> None:
    run = (await site.client.post(path, json=body)).json()
    where = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
    assert (await site.client.post(f"{where}/cancel?wait=true")).json() == {}


async def test_after_a_thousand_runs_nothing_is_left_that_nobody_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "fast_graph")  # a captured traceback keeps alive what it passed through
    clock = OwnedClock()
    backend = SharedBackend(clock)
    app = fastGraph(GRAPHS, backend=backend, settings=settings())
    async with serving(app=app) as site:
        await _round(site, -1)
        clock.advance(3600)
        await site.healthy()
        before = kept(site.runtime, backend.stores)
        for first in range(0, ROUNDS, 25):
            async with asyncio.TaskGroup() as group:
                for number in range(first, first + 25):
                    group.create_task(_round(site, number))
        await site.client.post("/threads/kept/runs/wait", json=KEPT)
        clock.advance(3600)
        await site.healthy()
        after = kept(site.runtime, backend.stores)
    extra = {name: count - before[name] for name, count in after.items() if count != before[name]}
    assert extra == {"threads": 1, "runs": 1, "runs_of": 1, "checkpointed threads": 1, "checkpointed runs": 1}


KEPT = {"assistant_id": "tokens", "input": {"count": 1}, "if_not_exists": "create"}
