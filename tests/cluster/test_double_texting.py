"""Fifty runs created at once on one thread, from three instances, under each multitask strategy."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import httpx
import psycopg

from tests.cluster.instances import Cluster

AT_ONCE = 50
JsonObject = dict[str, Any]


class Thread:
    """A thread, seen through one of the instances, or all of them."""

    def __init__(self, client: httpx.AsyncClient, cluster: Cluster, thread_id: str) -> None:
        self._client = client
        self._cluster = cluster
        self._urls = [f"{url}/threads/{thread_id}" for url in cluster.urls]
        self._thread_id = thread_id

    @classmethod
    async def new(cls, client: httpx.AsyncClient, cluster: Cluster) -> "Thread":
        """A thread without runs."""
        made = (await client.post(f"{cluster.urls[0]}/threads", json={})).json()
        return cls(client, cluster, made["thread_id"])

    async def create_at_once(self, graph: str, strategy: str) -> Sequence[httpx.Response]:
        """Create many runs, through the instances in turn; the answers."""
        body = {"assistant_id": graph, "input": {"log": []}, "multitask_strategy": strategy}
        urls = [self._urls[number % len(self._urls)] for number in range(AT_ONCE)]
        return await asyncio.gather(*[self._client.post(f"{url}/runs", json=body) for url in urls])

    async def run(self, graph: str, strategy: str) -> JsonObject:
        """The final values of one run more."""
        body = {"assistant_id": graph, "input": {"log": []}, "multitask_strategy": strategy}
        return _object(await self._client.post(f"{self._urls[0]}/runs/wait", json=body))

    async def join(self, run_id: str) -> JsonObject:
        """What waiting for a run gives."""
        return _object(await self._get(f"/runs/{run_id}/join"))

    async def cancel(self, run_id: str) -> None:
        await self._client.post(f"{self._urls[0]}/runs/{run_id}/cancel", params={"wait": True})

    async def until_stuck(self, run_id: str) -> None:
        """Wait until the run has come to the node that it does not leave."""
        state: JsonObject = {"metadata": None}
        while not (state["metadata"] and state["metadata"]["run_id"] == run_id and state["next"] == ["forever"]):
            state = _object(await self._get("/state"))

    async def row(self) -> JsonObject:
        return _object(await self._get(""))

    async def history(self) -> set[str]:
        """The runs that have left checkpoints."""
        return {state["metadata"]["run_id"] for state in (await self._get("/history", limit=1000)).json()}

    async def statuses(self) -> dict[str, str]:
        """Of all runs."""
        return {run["run_id"]: run["status"] for run in (await self._get("/runs", limit=1000)).json()}

    def places(self) -> list[str]:
        """The runs that are there, in the order in which they were admitted."""
        asked = "SELECT run_id FROM fast_graph_runs WHERE thread_id = %s ORDER BY place"
        with psycopg.connect(self._cluster.environment["POSTGRE_DATABASE_URL"]) as connection:
            return [run_id for (run_id,) in connection.execute(asked, [self._thread_id])]

    async def _get(self, path: str, **params: int) -> httpx.Response:
        return await self._client.get(self._urls[0] + path, params=params)


def _object(answer: httpx.Response) -> JsonObject:
    found: JsonObject = answer.json()
    return found


async def test_reject_lets_exactly_one_in(cluster: Cluster, client: httpx.AsyncClient) -> None:
    thread = await Thread.new(client, cluster)
    answers = await thread.create_at_once("stay_forever", "reject")
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: AT_ONCE - 1}
    [admitted] = [answer.json()["run_id"] for answer in answers if answer.status_code == 200]
    assert thread.places() == [admitted]
    await thread.until_stuck(admitted)
    await thread.cancel(admitted)
    again = await thread.run("stay", "reject")
    assert [stay["run_id"] for stay in again["log"]] == thread.places()


async def test_enqueue_executes_all_in_the_order_of_their_places_and_one_at_a_time(
    cluster: Cluster, client: httpx.AsyncClient
) -> None:
    thread = await Thread.new(client, cluster)
    answers = await thread.create_at_once("stay", "enqueue")
    places = thread.places()
    assert sorted(answer.json()["run_id"] for answer in answers) == sorted(places)
    stays = (await thread.join(places[-1]))["log"]
    assert [stay["run_id"] for stay in stays] == places
    assert all(one["ended"] <= following["began"] for one, following in pairwise(stays))
    assert await thread.statuses() == dict.fromkeys(places, "success")
    assert (await thread.row())["status"] == "idle"


async def test_interrupt_ends_all_but_the_newest_and_keeps_what_they_did(
    cluster: Cluster, client: httpx.AsyncClient
) -> None:
    thread = await Thread.new(client, cluster)
    answers = await thread.create_at_once("stay_forever", "interrupt")
    *displaced, newest = thread.places()
    assert sorted(answer.json()["run_id"] for answer in answers) == sorted([*displaced, newest])
    await asyncio.gather(*[thread.join(run_id) for run_id in displaced])
    await thread.until_stuck(newest)
    interrupted = dict.fromkeys(displaced, "interrupted")
    assert await thread.statuses() == {**interrupted, newest: "running"}
    assert (await thread.row())["status"] == "busy"

    values = await thread.run("stay", "interrupt")
    last = thread.places()[-1]
    assert await thread.statuses() == {**interrupted, newest: "interrupted", last: "success"}
    stays = [stay["run_id"] for stay in values["log"]]
    assert stays[-2:] == [newest, last]
    assert set(stays) <= await thread.history()
    row = await thread.row()
    assert (row["status"], row["error"], row["values"]) == ("idle", None, values)


async def test_rollback_removes_all_but_the_newest_and_what_they_did(
    cluster: Cluster, client: httpx.AsyncClient
) -> None:
    thread = await Thread.new(client, cluster)
    before = await thread.run("stay", "rollback")
    [first] = thread.places()
    answers = await thread.create_at_once("stay_forever", "rollback")
    created = {answer.json()["run_id"] for answer in answers}
    newest = thread.places()[-1]
    await asyncio.gather(*[thread.join(run_id) for run_id in created - {newest}])
    await thread.until_stuck(newest)
    assert await thread.statuses() == {first: "success", newest: "running"}
    assert thread.places() == [first, newest]

    values = await thread.run("stay", "rollback")
    _, last = thread.places()
    assert last not in created
    assert await thread.statuses() == {first: "success", last: "success"}
    assert [stay["run_id"] for stay in values["log"]] == [first, last]
    assert values["log"][0] == before["log"][0]
    assert await thread.history() == {first, last}
    row = await thread.row()
    assert (row["status"], row["error"], row["values"]) == ("idle", None, values)
