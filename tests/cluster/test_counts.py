"""What one run costs PostgreSQL and one token costs Redis, as the servers count it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import httpx
import psycopg
import pytest
import redis

from tests.cluster.instances import Cluster, environment_of, running
from tests.services.processes import Bench, Server

RUNS, WARMING = 11, 3
MOST_STATEMENTS, MOST_COMMITS = 8, 4
TOKENS = 2000
MOST_COMMANDS = 0.3
NEVER = {"FAST_GRAPH_POLL": "3600", "FAST_GRAPH_HEARTBEAT": "3600", "FAST_GRAPH_LEASE": "7200"}
"""Nothing happens by the clock, so that all that is counted is the runs'."""

STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*):\s*(.*)")
FRAMING = ("BEGIN", "COMMIT", "ROLLBACK")
OURS = "SELECT pg_snapshot_xmax"


@pytest.fixture
def ours(bench: Bench, own_postgres: Server, session_redis: str) -> Iterator[Cluster]:
    """One instance, on a PostgreSQL that logs every statement."""
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    with running(bench, {**environment_of(own_postgres.url, session_redis), **NEVER}, []) as cluster:
        yield cluster


@dataclass(frozen=True)
class Books:
    """What a PostgreSQL server has counted until now."""

    transactions: int
    """Those that have written something; the others get no number, and nothing of theirs is brought to the disk."""
    statements: int
    """Those that were executed, without what only frames them."""

    @classmethod
    def of(cls, server: Server) -> "Books":
        with psycopg.connect(server.url, autocommit=True) as connection:
            asked = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            [(number,)] = asked.fetchall()
        found = STATEMENT.findall(server.log.read_text())
        return cls(number, sum(not text.startswith((*FRAMING, OURS)) for text in found))


async def test_a_run_costs_postgres_few_statements_and_fewer_commits(
    ours: Cluster, own_postgres: Server, client: httpx.AsyncClient
) -> None:
    path = f"{ours.urls[0]}/threads/one/runs/wait"
    body = {"assistant_id": "echo", "input": {"content": "x"}, "if_not_exists": "create"}
    for _ in range(WARMING):
        await client.post(path, json=body)
    books = [Books.of(own_postgres)]
    for _ in range(RUNS):
        assert (await client.post(path, json={**body, "if_not_exists": "reject"})).json() == {"content": "echo: x"}
        books.append(Books.of(own_postgres))
    # Writes that come close together are stored as one. On a busy machine some do not.
    assert median(after.statements - before.statements for before, after in pairwise(books)) <= MOST_STATEMENTS
    assert median(after.transactions - before.transactions for before, after in pairwise(books)) <= MOST_COMMITS
    assert books[-1].statements - books[0].statements > RUNS


def commands(url: str) -> Counter[str]:
    """How often a Redis server has executed each command, those within scripts as well."""
    with redis.Redis.from_url(url) as client:
        return Counter({name: stats["calls"] for name, stats in client.info("commandstats").items()})


async def test_a_token_costs_redis_a_fraction_of_a_command(ours: Cluster, client: httpx.AsyncClient) -> None:
    url, redis_url = f"{ours.urls[0]}/runs/stream", ours.environment["REDIS_URL"]
    body = {"assistant_id": "hurried", "input": {"count": TOKENS}, "stream_mode": "custom", "stream_resumable": True}
    await client.post(url, json=body)
    before = commands(redis_url)
    streamed = await client.post(url, json=body)
    assert streamed.text.count("event: custom") == TOKENS
    spent = commands(redis_url) - before
    assert 0 < spent.total() / TOKENS <= MOST_COMMANDS, spent
