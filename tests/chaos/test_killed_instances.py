"""kill -9, with the default settings: another instance goes on, and nobody has to ask again."""

import asyncio
import sys

import pytest

from tests.chaos.clients import Stream, client_of, eventually, items_of, run_of, thread_is
from tests.chaos.cluster import Cluster
from tests.chaos.diary import steps

pytestmark = pytest.mark.slow

TAKEN_OVER = 10.0
"""Seconds after the kill until another instance goes on."""


async def test_a_run_goes_on_elsewhere_from_its_last_checkpoint(cluster: Cluster) -> None:
    diary = cluster.diary
    door, lost = cluster.start(cluster.door(), cluster.instance())
    async with client_of(door) as client, asyncio.TaskGroup() as group:
        streamed = Stream(client, "POST", "/threads/a/runs/stream", json=run_of("a", steps=4, gates={"2": "gate"}))
        group.create_task(streamed.read())
        body = run_of("b", steps=4, gates={"2": "gate"})
        threaded = group.create_task(client.post("/threads/b/runs/wait", json=body))
        alone = group.create_task(client.post("/runs/wait", json=run_of("c", steps=4, gates={"2": "gate"})))
        await eventually(lambda: steps(diary.lines(what="begin")).count(2) == 3, "all runs are at the gate")
        (other,) = cluster.start(cluster.instance())
        held_by = lost.pid
        lost.kill()
        killed = asyncio.get_running_loop().time()
        await eventually(lambda: len(streamed.attempts) == 2, "the next attempt is announced")
        passed = asyncio.get_running_loop().time() - killed
        sys.stdout.write(f"taken over after {passed:.1f} s\n")
        assert passed < TAKEN_OVER
        diary.open("gate")
        assert (await threaded).json()["items"] == items_of("b", 4)
        assert (await alone).json()["items"] == items_of("c", 4)
        await eventually(lambda: streamed.ended, "the stream ends")
        assert not streamed.broken
        assert streamed.attempts == [1, 2]
        streamed.assert_in_order()
        expected = [(0, held_by), (1, held_by), (2, held_by), (2, other.pid), (3, other.pid)]
        assert [(step, pid) for step, _, pid in streamed.said] == expected
        for item in ("a", "b"):
            assert steps(diary.lines(what="begin", item=item)) == [0, 1, 2, 2, 3]
            assert await thread_is(client, item, "idle")
        assert (await client.get("/threads/a/state")).json()["values"]["items"] == items_of("a", 4)
