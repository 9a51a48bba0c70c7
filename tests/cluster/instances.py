"""Instances of the app as processes of their own, and what they share."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from fast_graph import Settings
from tests.services.processes import LOCAL, Bench, Server, accepts, free_port

APP = "tests.cluster.app:app"
CLI = [sys.executable, "-m", "fast_graph.cli"]

Environment = Mapping[str, str]


def environment_of(postgres_url: str, redis_url: str) -> dict[str, str]:
    """Processes with this environment are one installation; every call makes another one, even in the same Redis."""
    ours = [
        str(field.validation_alias or f"FAST_GRAPH_{name.upper()}") for name, field in Settings.model_fields.items()
    ]
    others = {name: value for name, value in os.environ.items() if name not in ours}
    prefix = f"test_{uuid4().hex}"
    return {**others, "POSTGRE_DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "REDIS_KEY_PRE": prefix}


@dataclass(frozen=True)
class Cluster:
    """Instances of one installation."""

    instances: Sequence[Server]
    environment: Environment

    @property
    def urls(self) -> Sequence[str]:
        return [instance.url for instance in self.instances]


def serving(bench: Bench, environment: Environment, *options: str) -> Server:
    """A process that serves, not started yet."""
    port = free_port()
    return Server(
        bench=bench,
        place=bench.place("serve"),
        port=port,
        url=f"http://{LOCAL}:{port}",
        command=[*CLI, "serve", APP, "--port", str(port), *options],
        ready=lambda: accepts(port),
        environment=environment,
    )


def working(bench: Bench, environment: Environment) -> Server:
    """A process that executes runs and serves nothing, not started yet."""
    place = bench.place("worker")
    return Server(
        bench=bench,
        place=place,
        port=free_port(),
        url="a worker",
        command=[*CLI, "worker", APP],
        ready=lambda: "worker started" in (place / "log").read_text(),
        environment=environment,
    )


@contextmanager
def running(bench: Bench, environment: Environment, *options: Sequence[str]) -> Iterator[Cluster]:
    """An instance for each of the options. They start at once, and end at once."""
    instances = [serving(bench, environment, *each) for each in options]
    with ThreadPoolExecutor(len(instances)) as threads:
        try:
            list(threads.map(Server.start, instances))
            yield Cluster(instances, environment)
        finally:
            list(threads.map(Server.stop, instances))
