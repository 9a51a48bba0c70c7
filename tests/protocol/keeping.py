"""Where servers under test keep everything: in memory, or where ``FASTGRAPH_TEST_BACKEND=postgres_redis`` says."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from uuid import uuid4

import psycopg

from fast_graph import Settings
from tests.protocol.serving import settings
from tests.services.postgres import scratch_database

BACKEND = "FASTGRAPH_TEST_BACKEND"

TABLES = """
SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
WHERE schemaname = 'public' AND tablename NOT LIKE '%migrations'"""

Installation = Callable[[], AbstractContextManager[Settings]]
"""Gives the settings of a server that finds nothing there."""


def in_memory_is_asked_for() -> bool:
    """Whether servers are to keep everything in memory."""
    asked = os.environ.get(BACKEND, "memory")
    assert asked in ("memory", "postgres_redis"), f"{BACKEND} is memory or postgres_redis, not {asked}"
    return asked == "memory"


@contextmanager
def in_memory() -> Iterator[Settings]:
    """An installation in memory."""
    yield settings()


@contextmanager
def in_postgres_and_redis(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    """Installations on these servers. Their databases are emptied and used again, since making one takes long."""
    free: list[str] = []
    with ExitStack() as stack:

        @contextmanager
        def installation() -> Iterator[Settings]:
            url = free.pop() if free else stack.enter_context(scratch_database(postgres_url))
            yield settings(postgres_url=url, redis_url=redis_url, redis_key_prefix=f"test_{uuid4().hex}")
            _empty(url)
            free.append(url)

        yield installation


def _empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(TABLES).fetchone()
        assert row is not None
        connection.execute(f"TRUNCATE {row[0]}")
