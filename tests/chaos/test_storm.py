"""The storm in the size that CI can afford. More of it: ``scripts/chaos``, or the variables below."""

import os
import sys
from pathlib import Path

import pytest

from tests.chaos.storm import HEAD, storm
from tests.services.processes import Bench, Server

SEEDS = int(os.environ.get("FAST_GRAPH_STORM_SEEDS", "5"))
RUNS = int(os.environ.get("FAST_GRAPH_STORM_RUNS", "40"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + RUNS)]


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_nothing_is_lost_in_a_storm(
    bench: Bench, own_redis: Server, own_postgres: Server, tmp_path: Path, seed: int
) -> None:
    result = storm(bench, own_redis, own_postgres, tmp_path, seed=seed, runs=RUNS)
    sys.stdout.write(f"{HEAD}\n{result}\nDiary and logs: {tmp_path}\n")
    assert not result.reckoning.faults
