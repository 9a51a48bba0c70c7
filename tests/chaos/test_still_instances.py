"""Instances that stand still: frozen beyond their lease they have lost it; with a blocked event loop they have not."""

import asyncio

import pytest

from tests.chaos.clients import Stream, assert_linear, client_of, eventually, items_of, run_of, thread_is
from tests.chaos.cluster import Cluster, log_of
from tests.chaos.diary import steps

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("ended", [False, True], ids=["while the other goes on", "after the other has ended"])
async def test_a_stale_holder_writes_nothing(cluster: Cluster, ended: bool) -> None:
    diary = cluster.diary
    door, stale = cluster.start(cluster.door(), cluster.instance())
    async with client_of(door) as client, asyncio.TaskGroup() as group:
        body = run_of("a", steps=5, gates={"1": "first gate", "3": "second gate"}, says=3)
        stream = Stream(client, "POST", "/threads/a/runs/stream", json=body)
        group.create_task(stream.read())
        await eventually(lambda: 1 in steps(diary.lines(what="begin")), "the run is at the first gate")
        (other,) = cluster.start(cluster.instance())
        stale.pause()
        await eventually(lambda: len(stream.attempts) == 2, "another instance takes over")
        diary.open("first gate")
        if ended:
            diary.open("second gate")
            await eventually(lambda: stream.ended, "the stream ends")
        else:
            await eventually(lambda: 3 in steps(diary.lines(what="begin")), "the run is at the second gate")
        stale.resume()
        await eventually(lambda: "lease lost" in log_of(stale), "the stale holder knows")
        diary.open("second gate")
        await eventually(lambda: stream.ended, "the stream ends")
        stream.assert_in_order()
        after_takeover = [pid for step, _, pid in stream.said[6:]]
        assert set(after_takeover) == {other.pid}
        assert [step for step, *_ in stream.said] == [0] * 3 + [1] * 6 + [2] * 3 + [3] * 3 + [4] * 3
        await assert_linear(client, "a")
        state = (await client.get("/threads/a/state")).json()
        assert state["values"]["items"] == items_of("a", 5)
        (run,) = (await client.get("/threads/a/runs")).json()
        assert run["status"] == "success"
        assert await thread_is(client, "a", "idle")


async def test_a_node_that_blocks_the_event_loop_keeps_its_lease(cluster: Cluster) -> None:
    door, blocked = cluster.start(cluster.door(), cluster.instance())
    async with client_of(door) as client, asyncio.TaskGroup() as group:
        body = run_of("a", steps=3, gates={"0": "gate"}, blocks={"1": 12.0})
        stream = Stream(client, "POST", "/threads/a/runs/stream", json=body)
        group.create_task(stream.read())
        await eventually(lambda: cluster.diary.lines(what="begin"), "the run has begun")
        cluster.start(cluster.instance())
        cluster.diary.open("gate")
        await eventually(lambda: stream.ended, "the stream ends")
        assert stream.attempts == [1]
        assert stream.said == [(step, 0, blocked.pid) for step in range(3)]
        assert steps(cluster.diary.lines(what="begin")) == [0, 1, 2]
