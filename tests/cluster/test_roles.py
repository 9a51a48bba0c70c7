"""Who serves and who executes are different processes, and nobody looks by himself: every step hangs on a signal."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import median

import httpx
import pytest

from tests.cluster.instances import Cluster, running, working
from tests.services.processes import Bench

SELDOM = 60
"""Seconds between two looks, and between two heartbeats."""
AT_ONCE = 2.0
"""Seconds: far less, even on a busy machine."""
STAY = {"assistant_id": "stay", "input": {"log": []}}

pytestmark = pytest.mark.slow


@pytest.fixture
def ours(bench: Bench, environment: dict[str, str]) -> Iterator[Cluster]:
    """An instance that executes nothing, and the process that does."""
    seldom = {
        **environment,
        "FAST_GRAPH_POLL": str(SELDOM),
        "FAST_GRAPH_HEARTBEAT": str(SELDOM),
        "FAST_GRAPH_LEASE": str(3 * SELDOM),
        "FAST_GRAPH_DRAIN": "0",
    }
    with running(bench, seldom, ["--no-worker"]) as cluster, working(bench, seldom) as worker:
        yield Cluster([*cluster.instances, worker], seldom)


@asynccontextmanager
async def soon() -> AsyncIterator[None]:
    """It happens long before anybody looks."""
    async with asyncio.timeout(SELDOM / 2):
        yield


async def test_what_one_process_is_asked_for_another_executes_at_once(ours: Cluster, client: httpx.AsyncClient) -> None:
    server, worker = ours.instances
    runs = f"{server.url}/threads/one/runs"
    body = {**STAY, "if_not_exists": "create", "stream_mode": "updates"}
    waits = []
    for number in range(1, 10):
        began = time.monotonic()
        async with soon():
            values = (await client.post(f"{runs}/wait", json=body)).json()
        waits.append(time.monotonic() - began)
        assert [stay["pid"] for stay in values["log"]] == [worker.pid] * number
    assert median(waits) < AT_ONCE
    async with soon():
        assert f'"pid":{worker.pid}' in (await client.post(f"{runs}/stream", json=body)).text


async def test_a_cancel_reaches_who_executes_at_once(ours: Cluster, client: httpx.AsyncClient) -> None:
    server, _ = ours.instances
    body = {**STAY, "assistant_id": "stay_forever", "if_not_exists": "create", "stream_mode": "updates"}
    async with soon(), client.stream("POST", f"{server.url}/threads/one/runs/stream", json=body) as response:
        pieces = response.aiter_text()
        while "updates" not in await anext(pieces):
            pass
        run = response.headers["content-location"]
        cancelled = await client.post(f"{server.url}{run}/cancel", params={"wait": True})
        assert cancelled.json() == {}
        assert "error" not in "".join([piece async for piece in pieces])
    assert (await client.get(f"{server.url}{run}")).json()["status"] == "interrupted"
