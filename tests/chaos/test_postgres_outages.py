"""PostgreSQL restarts: nothing that was accepted is lost, and nobody waits in vain meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.chaos.clients import Stream, assert_linear, client_of, eventually, items_of, run_of, until_idle
from tests.chaos.conftest import OpenCluster
from tests.chaos.diary import steps
from tests.services.processes import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

REFUSED = 10.0
"""Seconds until a request is refused, on a busy machine: five are allowed for a connection."""

AWAY = 12.0
"""Seconds that it is away: longer than all leases."""


@pytest.mark.parametrize("end", [Server.kill, Server.stop], ids=["killed", "stopped"])
async def test_runs_outlive_a_restart(
    own_postgres: Server, redis_url: str, open_cluster: OpenCluster, end: Callable[[Server], None]
) -> None:
    cluster = open_cluster(POSTGRE_DATABASE_URL=own_postgres.url, REDIS_URL=redis_url)
    door, *_ = cluster.start(cluster.door(), cluster.instance(), cluster.instance())
    diary, now = cluster.diary, asyncio.get_running_loop().time
    async with client_of(door) as client, asyncio.TaskGroup() as group:
        gates = {"1": "before", "3": "after"}
        stream = Stream(client, "POST", "/threads/a/runs/stream", json=run_of("a", steps=5, gates=gates))
        group.create_task(stream.read())
        threaded = group.create_task(client.post("/threads/b/runs/wait", json=run_of("b", steps=5, gates=gates)))
        alone = group.create_task(client.post("/runs/wait", json=run_of("c", steps=5, gates=gates)))
        await eventually(lambda: steps(diary.lines(what="begin")).count(1) == 3, "all runs are at the gate")
        accepted = [await client.post(f"/threads/{item}/runs", json=run_of(item, steps=2)) for item in ("a", "d", "d")]
        assert {answer.status_code for answer in accepted} == {200}
        await asyncio.to_thread(end, own_postgres)
        diary.open("before")
        began = now()
        while now() - began < AWAY:
            asked = now()
            for answer in await asyncio.gather(*everything_one_asks(client)):
                assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
            assert now() - asked < REFUSED
            assert (await client.get("/ok")).status_code == 200
            health = await client.get("/health")
            assert (health.status_code, health.json()["services"]["postgres"]) == (503, "unreachable")
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: is_well(client), "all is well again")
        diary.open("after")
        assert (await threaded).json()["items"] == items_of("b", 5)
        assert (await alone).json()["items"] == items_of("c", 5)
        await eventually(lambda: stream.ended, "the stream ends")
        assert not stream.broken
        assert stream.attempts == [1]
        stream.assert_in_order()
        for item in ("a", "b", "c"):
            assert steps(diary.lines(what="begin", item=item)) == list(range(5)), "a holder that lives keeps its lease"
        await until_idle(client, "a", "b", "d")
        for item in ("a", "b", "d"):
            statuses = {run["status"] for run in (await client.get(f"/threads/{item}/runs")).json()}
            assert statuses == {"success"}
            await assert_linear(client, item)
        assert await items(client, "a") == items_of("a", 5) + items_of("a", 2)
        assert await items(client, "d") == items_of("d", 2) * 2
    assert not cluster.surprises()


def everything_one_asks(client: httpx.AsyncClient) -> list[Coroutine[Any, Any, httpx.Response]]:
    body = run_of("z", steps=1)
    return [
        client.get("/threads/a"),
        client.get("/threads/a/state"),
        client.post("/threads/z/runs", json=body),
        client.post("/threads/z/runs/wait", json=body),
        client.post("/threads/z/runs/stream", json=body),
        client.post("/threads/search", json={}),
        client.post("/assistants/search", json={}),
        client.put("/store/items", json={"namespace": ["a"], "key": "b", "value": {}}),
    ]


async def is_well(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health")).status_code == 200


async def items(client: httpx.AsyncClient, thread: str) -> list[str]:
    return list((await client.get(f"/threads/{thread}/state")).json()["values"]["items"])
