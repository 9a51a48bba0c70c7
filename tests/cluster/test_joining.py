"""Two hundred readers of the same few runs, who come, go and come back: none misses an event or sees one twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from random import Random

import httpx
import pytest
from redis.asyncio import Redis

from tests.cluster.instances import Cluster, running
from tests.cluster.reading import Followed, Log, Reader, Seen, frames
from tests.services.plugin import StartNginx
from tests.services.processes import Bench

SEED = 20
RUNS = 5
READERS = 200
COUNT = 2000
LAST = COUNT + 1
"""The number of the last event: the first one tells of the run."""

BODY = {
    "assistant_id": "numbers",
    "input": {"count": COUNT},
    "stream_mode": "custom",
    "stream_resumable": True,
    "if_not_exists": "create",
}

pytestmark = pytest.mark.slow


@pytest.fixture
def soon(environment: dict[str, str]) -> dict[str, str]:
    """What a killed instance has left is taken over soon."""
    return {**environment, "FAST_GRAPH_LEASE": "3", "FAST_GRAPH_HEARTBEAT": "0.5"}


@pytest.fixture
def ours(bench: Bench, soon: dict[str, str]) -> Iterator[Cluster]:
    """Instances to be killed as one likes."""
    with running(bench, soon, [], [], []) as cluster:
        yield cluster


@pytest.fixture
def ours_with_a_door(bench: Bench, soon: dict[str, str]) -> Iterator[Cluster]:
    """The same, but the last one executes nothing."""
    with running(bench, soon, [], [], ["--no-worker"]) as cluster:
        yield cluster


@pytest.fixture
async def log(soon: dict[str, str]) -> AsyncIterator[Log]:
    async with Redis.from_url(soon["REDIS_URL"]) as redis:
        yield Log(redis, soon["REDIS_KEY_PRE"])


def readers_of(runs: Sequence[Followed], urls: Sequence[str]) -> list[Reader]:
    """They come at any moment; a third asks for what was before, and half leave up to three times."""
    chance = Random(SEED)
    return [
        Reader(
            run=chance.choice(runs),
            urls=urls,
            chance=Random(chance.random()),
            comes_at=chance.randrange(1, LAST - 100),
            from_start=chance.random() < 1 / 3,
            leaves_at=chance.sample(range(1, COUNT), chance.choice([0, 0, 0, 1, 2, 3])),
        )
        for _ in range(READERS)
    ]


async def test_readers_who_come_and_go_see_every_event_once_and_in_order(
    ours_with_a_door: Cluster, start_nginx: StartNginx, client: httpx.AsyncClient, log: Log
) -> None:
    *lasting, door = ours_with_a_door.instances
    front = start_nginx(ours_with_a_door.instances)
    runs = [Followed(f"thread-{number}") for number in range(RUNS)]
    readers = readers_of(runs, [*ours_with_a_door.urls, front.url])
    async with asyncio.TaskGroup() as group:
        leads = [group.create_task(start_and_follow(client, lasting[n % 2].url, run)) for n, run in enumerate(runs)]
        for reader in readers:
            group.create_task(reader.follow(client, log))
        await runs[0].comes_to(LAST // 2)
        await asyncio.to_thread(door.kill)
    streams = {run.run_id: lead.result() for run, lead in zip(runs, leads, strict=True)}
    for stream in streams.values():
        assert [event.seq for event in stream] == list(range(1, LAST + 1))
        assert [event.data.get("number") for event in stream] == [None, *range(COUNT)]
    expect_no_faults(readers, streams)
    expect_disturbances(readers)


async def start_and_follow(client: httpx.AsyncClient, url: str, run: Followed) -> list[Seen]:
    """Everything that the new run says, from its start to its end."""
    seen = []
    async with client.stream("POST", f"{url}/threads/{run.thread_id}/runs/stream", json=BODY) as response:
        run.run_id = response.headers["content-location"].rpartition("/")[2]
        async for _, event in frames(response):
            seen.append(event)
            await run.move(event.seq)
    return seen


async def test_readers_see_every_event_once_and_in_order_though_a_worker_is_killed(
    ours: Cluster, start_nginx: StartNginx, client: httpx.AsyncClient, log: Log
) -> None:
    front = start_nginx(ours.instances)
    runs = [await started(client, front.url, f"thread-{number}") for number in range(RUNS)]
    urls = [*ours.urls, front.url]
    leads = [Reader(run=run, urls=urls, chance=Random(SEED), from_start=True, leads=True) for run in runs]
    readers = readers_of(runs, urls)
    async with asyncio.TaskGroup() as group:
        for reader in [*leads, *readers]:
            group.create_task(reader.follow(client, log))
        await runs[0].comes_to(LAST // 2)
        worker = leads[0].seen[-1].data["pid"]
        await asyncio.to_thread(next(instance for instance in ours.instances if instance.pid == worker).kill)
    streams = {lead.run.run_id: lead.seen for lead in leads}
    for stream in streams.values():
        assert [event.seq for event in stream] == list(range(1, len(stream) + 1))
        *lost, last = attempts(stream)
        assert last == list(range(COUNT))
        assert all(numbers == list(range(len(numbers))) for numbers in lost)
    assert len(attempts(leads[0].seen)) > 1
    expect_no_faults(readers, streams)
    expect_disturbances(readers)


async def started(client: httpx.AsyncClient, url: str, thread_id: str) -> Followed:
    """A run in the background."""
    made = (await client.post(f"{url}/threads/{thread_id}/runs", json=BODY)).json()
    return Followed(thread_id, made["run_id"])


def attempts(stream: Sequence[Seen]) -> list[list[int]]:
    """What each attempt at a run has said."""
    found: list[list[int]] = []
    for event in stream:
        if event.name == "metadata":
            found.append([])
        else:
            found[-1].append(event.data["number"])
    return found


def expect_no_faults(readers: Sequence[Reader], streams: Mapping[str, Sequence[Seen]]) -> None:
    """Each has seen what there was from where it came in; the streams are by run."""
    found = sum((reader.faults(streams[reader.run.run_id]) for reader in readers), Counter[str]())
    assert found.total() == 0, found


def expect_disturbances(readers: Sequence[Reader]) -> None:
    """Many have come late, hung up, or been hung up on: else nothing was shown."""
    assert sum(reader.first > (1, 1) for reader in readers) > READERS / 2
    assert sum(reader.left for reader in readers) > READERS / 2
    assert sum(reader.lost for reader in readers) > READERS / 20
