from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.cluster.instances import Cluster, environment_of, running
from tests.services.plugin import StartNginx
from tests.services.postgres import scratch_database
from tests.services.processes import Bench, Server
from tests.services.redis import emptied

PATIENCE = 40.0
"""Seconds after which something that should happen is taken not to."""


@pytest.fixture
def environment(postgres_url: str, session_redis: str) -> dict[str, str]:
    """An installation of the test's own, on an empty database."""
    return environment_of(postgres_url, session_redis)


@pytest.fixture(scope="package")
def cluster(bench: Bench, session_postgres: str, session_redis: str) -> Iterator[Cluster]:
    """Three instances, for all tests that leave them alive."""
    with (
        emptied(session_redis) as redis_url,
        scratch_database(session_postgres) as postgres_url,
        running(bench, environment_of(postgres_url, redis_url), [], [], []) as cluster,
    ):
        yield cluster


@pytest.fixture
def front(cluster: Cluster, start_nginx: StartNginx) -> Server:
    """nginx before them, which takes them in turn."""
    return start_nginx(cluster.instances)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of any number of connections, each used once, so that nginx and instances see them come and go."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=PATIENCE, limits=limits) as client:
        yield client
