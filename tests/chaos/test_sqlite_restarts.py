"""kill -9 of the one process that uses a SQLite file: the next one on the same file goes on."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.clients import Stream, assert_linear, client_of, eventually, items_of, run_of, until_idle
from tests.chaos.conftest import OpenCluster
from tests.chaos.diary import steps

pytestmark = pytest.mark.slow


async def test_a_run_goes_on_from_its_last_checkpoint(open_cluster: OpenCluster, tmp_path: Path) -> None:
    cluster = open_cluster(FAST_GRAPH_SQLITE_PATH=str(tmp_path / "chaos.sqlite"))
    diary, gates = cluster.diary, {"2": "gate"}
    (only,) = cluster.start(cluster.instance())
    async with client_of(only) as client, asyncio.TaskGroup() as group:
        stream = Stream(client, "POST", "/threads/a/runs/stream", json=run_of("a", steps=4, gates=gates, says=3))
        group.create_task(stream.read())
        await eventually(lambda: len(stream.said) == 9, "the run is at the gate")
        accepted = await client.post("/threads/a/runs", json=run_of("b", steps=2))
        assert accepted.status_code == 200
        before = only.pid
        only.kill()
        await eventually(lambda: stream.ended, "the stream breaks off")
        await asyncio.to_thread(only.start)
        path, seen = stream.headers["location"], {"last-event-id": stream.last_id}
        rest = Stream(client, "GET", path, headers=seen)
        group.create_task(rest.read())
        await eventually(lambda: rest.attempts == [2], "the next attempt is announced")
        diary.open("gate")
        await eventually(lambda: rest.ended, "the stream ends")
        assert [(step, number) for step, number, _ in rest.said] == [(s, n) for s in (2, 3) for n in range(3)]
        rest.events[:0] = stream.events
        rest.assert_in_order()
        assert {by for step, _, by in stream.said} == {before}
        assert steps(diary.lines(what="begin", item="a")) == [0, 1, 2, 2, 3]
        await until_idle(client, "a")
        assert (await client.get("/threads/a/state")).json()["values"]["items"] == items_of("a", 4) + items_of("b", 2)
        assert {run["status"] for run in (await client.get("/threads/a/runs")).json()} == {"success"}
        await assert_linear(client, "a")
