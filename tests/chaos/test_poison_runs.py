"""A run that ends every process that tries it is given up, and whoever waits for it is told."""

import asyncio

import pytest

from tests.chaos.clients import Stream, client_of, eventually, run_of, thread_is
from tests.chaos.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

EXHAUSTED = "AttemptsExhausted"


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_run_that_kills_is_tried_as_often_as_allowed(cluster: Cluster, attempts: int) -> None:
    limit = {"FAST_GRAPH_MAX_ATTEMPTS": str(attempts)}
    door = cluster.door()
    workers = [cluster.instance(**limit) for _ in range(attempts + 1)]
    cluster.start(door, *workers)
    async with client_of(door) as client, asyncio.TaskGroup() as group:
        poison = run_of("poison", steps=3, dies={"1": True}) | {"durability": "sync"}
        stream = Stream(client, "POST", "/threads/a/runs/stream", json=poison)
        group.create_task(stream.read())
        await eventually(lambda: stream.ended, "the run is given up", within=90)
        assert stream.attempts == list(range(1, attempts + 1))
        assert not stream.broken
        (run,) = (await client.get("/threads/a/runs")).json()
        assert run["status"] == "error"
        thread = (await client.get("/threads/a")).json()
        assert thread["status"] == "error"
        assert EXHAUSTED in str(thread["error"])
        joined = await client.get(f"/threads/a/runs/{run['run_id']}/join")
        assert joined.json()["__error__"]["error"] == EXHAUSTED
        died = [line.pid for line in cluster.diary.lines(what="begin", item="poison") if line.step == 1]
        assert len(set(died)) == len(died) == attempts
        assert len(cluster.diary.lines(what="end", item="poison")) == 1
        for worker in workers:
            if worker.pid in died:
                assert worker.wait() == 9
        healthy = await client.post("/threads/a/runs/wait", json=run_of("healthy", steps=2))
        assert healthy.json()["items"] == ["poison.0", "healthy.0", "healthy.1"]
        assert await thread_is(client, "a", "idle")


@pytest.mark.parametrize("path", ["/threads/a/runs/wait", "/runs/wait"])
async def test_who_waits_for_it_is_told(cluster: Cluster, path: str) -> None:
    limit = {"FAST_GRAPH_MAX_ATTEMPTS": "1"}
    door, *_ = cluster.start(cluster.door(), cluster.instance(**limit), cluster.instance(**limit))
    async with client_of(door) as client:
        answer = await client.post(path, json=run_of("poison", steps=1, dies={"0": True}))
        assert answer.json()["__error__"]["error"] == EXHAUSTED
        assert len(cluster.diary.lines(what="begin")) == 1
        healthy = await client.post(path, json=run_of("healthy", steps=1))
        assert healthy.json()["items"] == ["healthy.0"]
