"""Readers share what an instance has: a thousand of them need no more connections than one."""

import asyncio
from collections.abc import Iterator

import httpx
import psycopg
import pytest
import redis

from tests.cluster.instances import Cluster, running
from tests.services.processes import Bench

READERS = 1000
REDIS_POOL, POSTGRES_POOL = 8, 4

pytestmark = pytest.mark.slow


@pytest.fixture
def ours(bench: Bench, environment: dict[str, str]) -> Iterator[Cluster]:
    """One instance, with small pools."""
    pools = {
        "REDIS_MAX_CONNECTIONS": str(REDIS_POOL),
        "POSTGRE_DB_POOL_SIZE": str(POSTGRES_POOL),
        "POSTGRE_DB_MAX_OVERFLOW": "0",
    }
    with running(bench, {**environment, **pools}, []) as cluster:
        yield cluster


def redis_connections(cluster: Cluster) -> int:
    """How many the server has of this installation."""
    name = cluster.environment["REDIS_KEY_PRE"]
    with redis.Redis.from_url(cluster.environment["REDIS_URL"]) as client:
        return [entry["name"] for entry in client.client_list()].count(name)


def postgres_connections(cluster: Cluster) -> int:
    """How many the server has to this database, less the one that asks."""
    with psycopg.connect(cluster.environment["POSTGRE_DATABASE_URL"]) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        row = connection.execute(asked).fetchone()
        assert row is not None
        return int(row[0])


async def test_a_thousand_readers_need_no_connections_of_their_own(ours: Cluster, client: httpx.AsyncClient) -> None:
    url, body = ours.urls[0], {"assistant_id": "stay_forever", "input": {"log": []}, "stream_mode": "values"}
    runs = [(await client.post(f"{url}/runs", json=body)).json()["run_id"] for _ in range(10)]
    joined = asyncio.Semaphore(0)

    async def read(run_id: str) -> str:
        async with client.stream("GET", f"{url}/runs/{run_id}/stream") as response:
            joined.release()
            return (await response.aread()).decode()

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read(runs[number % len(runs)])) for number in range(READERS)]
        for _ in range(READERS):
            await joined.acquire()
        there = {"redis": redis_connections(ours), "postgres": postgres_connections(ours)}
        for run_id in runs:
            await client.post(f"{url}/runs/{run_id}/cancel")
    assert len(readers) == READERS
    # One more listens to Redis. Rows and checkpoints have a pool each, and the heartbeat has a connection.
    assert there["redis"] <= REDIS_POOL + 1
    assert there["postgres"] <= 2 * POSTGRES_POOL + 1
