"""How one connection listens for a whole process."""

import asyncio
import logging

import pytest
import redis

from fast_graph.backends.redis import subscriptions
from tests.services.plugin import StartProxy
from tests.services.processes import Server
from tests.unit.backends.redis.processes import Process, events, new_lease, numbers, rest, say, until


@pytest.fixture
def losses(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What is logged, where connections are given up soon."""
    monkeypatch.setattr(subscriptions, "PING", 0.1)
    monkeypatch.setattr(subscriptions, "SILENCE", 0.5)
    caplog.set_level(logging.INFO, "fast_graph.redis")
    return caplog


async def test_a_connection_on_which_nothing_comes_is_given_up(
    own_redis: Server, start_proxy: StartProxy, losses: pytest.LogCaptureFixture
) -> None:
    proxy = start_proxy(own_redis.port)
    async with Process(f"redis://127.0.0.1:{proxy.port}/0"):
        with proxy.hanging():
            await until(lambda: "connection lost" in losses.text)
        await until(lambda: "connection is back" in losses.text)


async def test_a_connection_that_is_only_idle_is_kept(own_redis: Server, losses: pytest.LogCaptureFixture) -> None:
    def pings() -> int:
        stats = client.info("commandstats")
        return int(stats.get("cmdstat_ping", {"calls": 0})["calls"])

    with redis.Redis.from_url(own_redis.url) as client:
        async with Process(own_redis.url):
            before = pings()
            await until(lambda: pings() - before >= 15)
    assert losses.text == ""


async def test_who_comes_back_at_once_hears_everything(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        lease = new_lease()
        await say(one, lease, "a")
        for _ in range(3):
            async with two.streams.follow(lease.run.run_id, after=0) as reader:
                assert numbers(await rest(reader, until=1)) == [1]
        async with two.streams.follow(lease.run.run_id, after=None) as reader:
            before = looks(own_redis)
            async with asyncio.TaskGroup() as tasks:
                found = tasks.create_task(rest(reader, until=50))
                for _ in range(50):
                    await one.streams.append(lease, events("b"))
            assert numbers(found.result()) == list(range(2, 52))
            assert looks(own_redis) - before <= 2


def looks(server: Server) -> int:
    """How often somebody looked how a log stands."""
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("commandstats")["cmdstat_hmget"]["calls"])
