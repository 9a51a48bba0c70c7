"""SIGTERM: runs are handed over at the end of their step, and no client has to wait for it."""

import asyncio
import socket
import sys

import pytest

from tests.chaos.clients import Stream, client_of, eventually, items_of, run_of, thread_is
from tests.chaos.cluster import Cluster
from tests.chaos.diary import steps

pytestmark = pytest.mark.slow

HANDED_OVER = 2.0
"""Seconds from the end of a step until another instance goes on with the next."""


async def test_a_run_is_handed_over_and_its_readers_miss_nothing(cluster: Cluster) -> None:
    diary = cluster.diary
    (stopping,) = cluster.start(cluster.instance())
    async with client_of(stopping) as client, asyncio.TaskGroup() as group:
        stream = Stream(
            client, "POST", "/threads/a/runs/stream", json=run_of("a", steps=4, gates={"1": "gate"}, says=5)
        )
        group.create_task(stream.read())
        await eventually(lambda: len(stream.said) == 10, "the run is at the gate")
        (other,) = cluster.start(cluster.instance())
        pid = stopping.pid
        stopping.ask_to_end()
        await eventually(lambda: stream.ended, "the stream ends with its instance", within=5)
        async with client_of(other) as elsewhere:
            path = stream.headers["location"]
            rest = Stream(elsewhere, "GET", path, headers={"last-event-id": stream.last_id})
            group.create_task(rest.read())
            diary.open("gate")
            await eventually(lambda: rest.ended, "the run ends elsewhere")
            assert await asyncio.to_thread(stopping.wait) == 0
            rest.events[:0] = stream.events
            rest.assert_in_order()
            assert set(rest.attempts) == {1}
            assert [(step, by) for step, _, by in rest.said[::5]] == [
                (0, pid),
                (1, pid),
                (2, other.pid),
                (3, other.pid),
            ]
            assert steps(diary.lines(what="begin")) == [0, 1, 2, 3]
            assert_handed_over(cluster)
            assert await thread_is(elsewhere, "a", "idle")


async def test_an_open_request_does_not_keep_a_run_from_being_handed_over(cluster: Cluster) -> None:
    diary = cluster.diary
    (stopping,) = cluster.start(cluster.instance())
    async with client_of(stopping) as client:
        run = (await client.post("/threads/a/runs", json=run_of("a", steps=4, gates={"1": "gate"}))).json()
        path = f"/threads/a/runs/{run['run_id']}"
        await eventually(lambda: 1 in steps(diary.lines(what="begin")), "the run is at the gate")
    (other,) = cluster.start(cluster.instance())
    with socket.create_connection(("127.0.0.1", stopping.port)) as unfinished:
        unfinished.sendall(b"POST /threads HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        async with client_of(stopping) as client, client_of(other) as elsewhere, asyncio.TaskGroup() as group:
            stream = Stream(client, "GET", f"{path}/stream", headers={"last-event-id": "-1"})
            group.create_task(stream.read())
            await eventually(lambda: stream.events, "the stream is open")
            stopping.ask_to_end()
            await eventually(lambda: stream.ended, "the stream ends with its instance", within=5)
            diary.open("gate")
            answer = await elsewhere.get(f"{path}/join")
            assert answer.json()["items"] == items_of("a", 4)
            assert_handed_over(cluster)
    assert [line.pid for line in diary.lines(what="begin")][2:] == [other.pid] * 2


def assert_handed_over(cluster: Cluster) -> None:
    """The step after the gate began soon after the one at the gate had ended."""
    (ended,) = (line for line in cluster.diary.lines(what="end") if line.step == 1)
    (begun,) = (line for line in cluster.diary.lines(what="begin") if line.step == 2)
    assert begun.pid != ended.pid
    sys.stdout.write(f"handed over after {begun.at - ended.at:.2f} s\n")
    assert begun.at - ended.at < HANDED_OVER
