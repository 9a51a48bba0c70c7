"""What every test of this folder may ask for."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.diary import Diary
from tests.services.processes import Bench

OpenCluster = Callable[..., Cluster]


@pytest.fixture
def open_cluster(bench: Bench, tmp_path: Path) -> Iterator[OpenCluster]:
    """Makes a cluster of the environment variables that choose its backend."""
    opened: list[Cluster] = []

    def open_one(**backend: str) -> Cluster:
        opened.append(Cluster(bench, Diary(tmp_path), backend))
        return opened[-1]

    yield open_one
    for cluster in opened:
        cluster.stop()
        sys.stdout.write(cluster.story(last=20_000))  # shown if the test failed


@pytest.fixture
def cluster(postgres_url: str, redis_url: str, open_cluster: OpenCluster) -> Cluster:
    """On servers that nothing happens to."""
    return open_cluster(POSTGRE_DATABASE_URL=postgres_url, REDIS_URL=redis_url)
