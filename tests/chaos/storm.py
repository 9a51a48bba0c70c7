"""The storm: clients that want runs, while everything they need is killed and started again; then the reckoning.

``scripts/chaos`` runs it by hand.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic

from tests.chaos.cluster import Cluster
from tests.chaos.crowd import Crowd
from tests.chaos.diary import Diary
from tests.chaos.reckoning import Reckoning, reckon
from tests.chaos.weather import Weather
from tests.services.postgres import postgres_server
from tests.services.processes import Bench, Server, open_bench
from tests.services.programs import POSTGRES, REDIS, provide
from tests.services.redis import redis_server

INSTANCES = 3
OVER = 20.0
"""Seconds for which it lasts, and one more for every ten runs."""
SETTINGS = {"FAST_GRAPH_MAX_ATTEMPTS": "1000"}
"""Runs lose their workers so often here that being given up would be their usual end."""

HEAD = (
    "| seed | runs | unsure | instances killed / stopped | Redis killed / emptied | PostgreSQL killed "
    "| ends | steps repeated | taken over after, median / longest "
    "| lost | stuck | overlaps | wrong | errors logged | seconds |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one storm came to."""

    seed: int
    weather: Weather
    reckoning: Reckoning
    seconds: float

    def __str__(self) -> str:
        """A line of the table."""
        found, strikes = self.reckoning, self.weather.strikes
        columns = [
            self.seed,
            found.accepted,
            found.unsure,
            f"{strikes['instances killed']} / {strikes['instances stopped']}",
            f"{strikes['redis killed']} / {strikes['redis emptied']}",
            strikes["postgres killed"],
            ", ".join(f"{count} {status}" for status, count in sorted(found.ends.items())),
            found.repeated,
            f"{median(found.takeovers):.1f} s / {max(found.takeovers):.1f} s" if found.takeovers else "-",
            *(len(faults) for faults in found.by_kind),
            f"{self.seconds:.0f}",
        ]
        return f"| {' | '.join(map(str, columns))} |"


def storm(bench: Bench, redis: Server, postgres: Server, folder: Path, *, seed: int, runs: int) -> Result:
    """One storm over new servers. What the nodes did, and what the instances logged, is left in the folder."""
    began = monotonic()
    backend = {"POSTGRE_DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
    cluster = Cluster(bench, Diary(folder), {**backend, **SETTINGS})
    try:
        instances = cluster.start(*(cluster.instance() for _ in range(INSTANCES)))
        weather = Weather(seed=seed, instances=instances, redis=redis, postgres=postgres)
        crowd = Crowd(seed, [one.url for one in instances], runs=runs, over=OVER + runs / 10)
        reckoning = asyncio.run(_rage(cluster, weather, crowd))
    finally:
        cluster.stop()
        (folder / "logs").write_text(cluster.story(last=sys.maxsize))
    reckoning.surprises += cluster.surprises()
    return Result(seed=seed, weather=weather, reckoning=reckoning, seconds=monotonic() - began)


async def _rage(cluster: Cluster, weather: Weather, crowd: Crowd) -> Reckoning:
    async with asyncio.TaskGroup() as group:
        group.create_task(weather.rage())
        await crowd.come(weather.over.set)
    url, database = weather.instances[0].url, weather.postgres.url
    return await reckon(crowd.wanted, cluster.diary, weather.deaths, url=url, database=database)


def main(words: Sequence[str]) -> int:
    """Print a line per seed; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Run the storm, and say what it left.")
    parser.add_argument("--seeds", type=int, default=5, help="how many storms (default 5)")
    parser.add_argument("--first", type=int, default=1, help="the seed of the first (default 1)")
    parser.add_argument("--runs", type=int, default=100, help="runs that are accepted in each (default 100)")
    options = parser.parse_args(words)
    provide([POSTGRES, REDIS])
    _say(HEAD)
    faults = 0
    with open_bench() as bench:
        for seed in range(options.first, options.first + options.seeds):
            folder = Path(tempfile.mkdtemp(prefix=f"fast-graph-storm-{seed}-"))
            with redis_server(bench) as redis, postgres_server(bench) as postgres:
                result = storm(bench, redis, postgres, folder, seed=seed, runs=options.runs)
            _say(str(result))
            for fault in result.reckoning.faults:
                _say(f"seed {seed}: {fault} (diary and logs: {folder})")
            faults += len(result.reckoning.faults)
    return int(faults > 0)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
