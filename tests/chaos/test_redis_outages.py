"""Redis goes away and comes back, with or without what it had: runs end as if nothing had been."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import httpx
import pytest

from tests.chaos.clients import Stream, client_of, eventually, items_of, run_of, thread_is, until_idle
from tests.chaos.conftest import OpenCluster
from tests.chaos.diary import steps
from tests.services.plugin import StartProxy
from tests.services.processes import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CUT_OFF = 20.0
"""Seconds that an outage lasts."""
REFUSED = 10.0
"""Seconds until a request that needs Redis is refused."""
AWAY_FOR_GOOD = 60.0
"""Seconds after which a run goes on without its stream."""

Outage = Callable[[], AbstractContextManager[None]]


@contextmanager
def emptied(redis: Server) -> Iterator[None]:
    redis.kill()
    yield
    shutil.rmtree(redis.place / "appendonlydir")
    redis.start()


@contextmanager
def killed(redis: Server) -> Iterator[None]:
    redis.kill()
    yield
    redis.start()


@pytest.fixture(params=["emptied", "killed", "refusing", "hanging"])
def outage(request: pytest.FixtureRequest, own_redis: Server, start_proxy: StartProxy) -> tuple[str, Outage]:
    """The address of a Redis, and what happens to it."""
    proxy = start_proxy(own_redis.port)
    happens: dict[str, Outage] = {
        "emptied": lambda: emptied(own_redis),
        "killed": lambda: killed(own_redis),
        "refusing": proxy.refusing,
        "hanging": proxy.hanging,
    }
    return f"redis://127.0.0.1:{proxy.port}/0", happens[request.param]


async def is_healthy(client: httpx.AsyncClient, redis: str) -> bool:
    """Whether the instance says this of Redis; it is well itself in any case."""
    assert (await client.get("/ok")).status_code == 200
    health = await client.get("/health")
    assert health.json()["services"]["postgres"] == "ok"
    return health.json()["services"]["redis"] == redis and health.status_code == (200 if redis == "ok" else 503)


async def test_runs_and_their_clients_outlive_an_outage(
    postgres_url: str, outage: tuple[str, Outage], open_cluster: OpenCluster
) -> None:
    redis_url, happens = outage
    cluster = open_cluster(POSTGRE_DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    door, worker = cluster.start(cluster.door(), cluster.instance())
    diary, now = cluster.diary, asyncio.get_running_loop().time
    async with client_of(door) as client, client_of(worker) as inside, asyncio.TaskGroup() as group:
        gates = {"1": "gate"}
        stream = Stream(client, "POST", "/threads/a/runs/stream", json=run_of("a", steps=4, gates=gates, says=10))
        group.create_task(stream.read())
        body = run_of("b", steps=4, gates=gates)
        threaded = group.create_task(client.post("/threads/b/runs/wait", json=body))
        alone = group.create_task(client.post("/runs/wait", json=run_of("c", steps=4, gates=gates)))
        await eventually(lambda: steps(diary.lines(what="begin")).count(1) == 3, "all runs are at the gate")
        await eventually(lambda: len(stream.said) == 20, "the stream is read so far")
        with happens():
            began = now()
            for one in (client, inside):
                await eventually(partial(is_healthy, one, "unreachable"), "the outage is noticed")
            diary.open("gate")
            accepted = await client.post("/threads/d/runs", json=run_of("d", steps=2))
            assert accepted.status_code == 200
            asked = now()
            meanwhile = Stream(client, "POST", "/threads/e/runs/stream", json=run_of("e", steps=2))
            group.create_task(meanwhile.read())
            refused = await client.get(stream.headers["location"], headers={"last-event-id": stream.last_id})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert now() - asked < REFUSED
            await eventually(lambda: diary.lines(what="end", item="a")[-1].step == 3, "the nodes go on")
            while now() - began < CUT_OFF:
                assert await is_healthy(client, "unreachable")
        for one in (client, inside):
            await eventually(partial(is_healthy, one, "ok"), "all is well again")
        assert (await threaded).json()["items"] == items_of("b", 4)
        assert (await alone).json()["items"] == items_of("c", 4)
        await eventually(lambda: stream.ended, "the stream ends")
        assert not stream.broken
        assert stream.attempts == [1]
        stream.assert_in_order()
        assert [(step, number) for step, number, _ in stream.said] == [(s, n) for s in range(4) for n in range(10)]
        await until_idle(client, "d")
        assert (await client.get("/threads/d/state")).json()["values"]["items"] == items_of("d", 2)
        await eventually(lambda: meanwhile.ended, "the stream that began meanwhile ends")
        meanwhile.assert_in_order()
        assert [step for step, *_ in meanwhile.said] == [0, 1]
        assert max(steps(diary.lines(what="begin", item="a"))) == 3
        assert len(diary.lines(what="begin", item="a")) == 4
        late = Stream(client, "GET", stream.headers["location"], headers={"last-event-id": "-1"})
        await asyncio.wait_for(late.read(), 10)
        assert late.events
        assert all(event in stream.events or event.name == "error" for event in late.events)
    assert not cluster.surprises()


async def test_what_was_asked_without_redis_is_done(
    postgres_url: str, own_redis: Server, open_cluster: OpenCluster
) -> None:
    cluster = open_cluster(POSTGRE_DATABASE_URL=postgres_url, REDIS_URL=own_redis.url)
    door, _ = cluster.start(cluster.door(), cluster.instance())
    async with client_of(door) as client:
        for item in ("a", "b"):
            await client.post(f"/threads/{item}/runs", json=run_of(item, steps=2, gates={"0": f"gate of {item}"}))
            await eventually(partial(cluster.diary.lines, item=item), "the run is at the gate")
        waiting = (await client.post("/threads/a/runs", json=run_of("later", steps=2))).json()
        with killed(own_redis):
            cancelled = await client.post(f"/threads/a/runs/{waiting['run_id']}/cancel")
            assert cancelled.status_code == 202
            ends = run_of("instead", steps=2) | {"multitask_strategy": "interrupt"}
            assert (await client.post("/threads/b/runs", json=run_of("second", steps=2))).status_code == 200
            assert (await client.post("/threads/b/runs", json=ends)).status_code == 200
            path = f"/threads/a/runs/{waiting['run_id']}"
            assert (await client.get(path)).json()["status"] == "interrupted"
            cluster.diary.open("gate of a")
        await until_idle(client, "a", "b")
        statuses = [run["status"] for run in (await client.get("/threads/b/runs")).json()]
        assert statuses == ["success", "interrupted", "interrupted"]
        assert not cluster.diary.lines(item="later")
        assert not cluster.diary.lines(item="second")
    assert not cluster.surprises()


async def test_without_redis_for_good_runs_end_and_nobody_hangs(
    postgres_url: str, own_redis: Server, open_cluster: OpenCluster
) -> None:
    cluster = open_cluster(POSTGRE_DATABASE_URL=postgres_url, REDIS_URL=own_redis.url)
    door, _ = cluster.start(cluster.door(), cluster.instance())
    async with client_of(door) as client, asyncio.TaskGroup() as group:
        stream = Stream(client, "POST", "/threads/a/runs/stream", json=run_of("a", steps=3, gates={"1": "gate"}))
        group.create_task(stream.read())
        body = run_of("b", steps=3, gates={"1": "gate"})
        threaded = group.create_task(client.post("/threads/b/runs/wait", json=body))
        alone = group.create_task(client.post("/runs/wait", json=run_of("c", steps=3, gates={"1": "gate"})))
        await eventually(lambda: len(stream.said) == 2, "the run is at the gate")
        await eventually(lambda: len(cluster.diary.lines(what="begin")) == 6, "all runs are at the gate")
        own_redis.kill()
        cluster.diary.open("gate")
        patience = AWAY_FOR_GOOD + 30
        await eventually(lambda: thread_is(client, "a", "idle"), "the run ends", within=patience)
        assert (await threaded).json()["items"] == items_of("b", 3)
        assert list((await alone).json()) == ["__error__"], "what a stateless run leaves was in its stream alone"
        assert cluster.diary.lines(what="end", item="c")[-1].step == 2
        await eventually(lambda: stream.ended, "the stream ends")
        assert not stream.broken
        assert (await client.get("/threads/a/state")).json()["values"]["items"] == items_of("a", 3)
