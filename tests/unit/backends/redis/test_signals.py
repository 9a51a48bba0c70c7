"""What signals on Redis do beyond their port."""

import logging

import pytest

from fast_graph.storage.signals import CancelRequested, RunsReady
from fast_graph.testing.signals import Ear
from tests.services.processes import Server
from tests.unit.backends.redis.processes import PATIENCE, Process, until


async def test_a_sender_does_not_hear_its_echo(redis_url: str) -> None:
    async with Process(redis_url) as one, Process(redis_url) as two:
        ear = Ear()
        with one.signals.listen(ear):
            await one.signals.send(RunsReady())
            assert ear.heard == [RunsReady()], "its own process is told at once"
            await two.signals.send(CancelRequested(["run"]))
            assert await ear.hears(2, patience=PATIENCE) == [RunsReady(), CancelRequested(["run"])]


async def test_without_redis_a_process_still_hears_itself(own_redis: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fast_graph.redis")
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        near, far = Ear(), Ear()
        with one.signals.listen(near), two.signals.listen(far):
            own_redis.kill()
            for _ in range(3):
                await one.signals.send(RunsReady())
            assert len(near.heard) == 3
            assert [r.message for r in caplog.records if "signals reach" in r.message] == [
                "signals reach this process only: The stream server cannot be reached at the moment"
            ]
            own_redis.start()
            await until(lambda: sum("is back" in record.message for record in caplog.records) == 2)
            await until_heard(one, far)


async def until_heard(sender: Process, ear: Ear) -> None:
    """Ring until it is heard: whoever has its connection back may not have subscribed yet."""
    while not ear.heard:
        await sender.signals.send(RunsReady())


async def test_signals_of_other_versions_and_nonsense_do_no_harm(redis_url: str) -> None:
    async with Process(redis_url) as one, Process(redis_url) as two:
        ear = Ear()
        with two.signals.listen(ear):
            for message in (
                b"nonsense",
                b"[]",
                b'{"from":"x","signal":"later"}',
                b'{"from":"x","signal":"runs_ready"}',
            ):
                await one.link.do("PUBLISH", b"fast_graph:signals", message)
            assert await ear.hears(1, patience=PATIENCE) == [RunsReady()]


async def test_applications_with_other_prefixes_do_not_hear_each_other(redis_url: str) -> None:
    async with Process(redis_url) as one, Process(redis_url, key_prefix="other") as other:
        ear = Ear()
        with other.signals.listen(ear):
            await one.signals.send(RunsReady())
            await other.signals.send(CancelRequested(["run"]))
            assert await ear.hears(1, patience=PATIENCE) == [CancelRequested(["run"])]
