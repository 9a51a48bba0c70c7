"""Instances of the app on the same backend, each to be started, asked to end, killed and paused."""

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fast_graph import Settings
from tests.chaos.diary import FOLDER, Diary
from tests.services.processes import LOCAL, Bench, Server, accepts, free_port

SERVE = [sys.executable, "-m", "fast_graph.cli", "serve", "tests.chaos.app:app"]

STOPPED_WITH_STREAMS = "ASGI callable returned without completing response."
"""What uvicorn says of every stream that ends with its server."""


class Cluster:
    """Whoever asks it for a server ends that server."""

    def __init__(self, bench: Bench, diary: Diary, backend: Mapping[str, str]) -> None:
        self.diary = diary
        self._bench = bench
        self._environment = {**_without_settings(os.environ), FOLDER: str(diary.folder), **backend}
        self._servers: list[Server] = []

    def instance(self, *options: str, **environment: str) -> Server:
        """A new one, not started yet."""
        port = free_port()
        server = Server(
            bench=self._bench,
            place=self._bench.place("instance"),
            port=port,
            url=f"http://{LOCAL}:{port}",
            command=[*SERVE, "--port", str(port), *options],
            ready=lambda: accepts(port),
            environment={**self._environment, **environment},
        )
        self._servers.append(server)
        return server

    def door(self) -> Server:
        """One that executes nothing."""
        return self.instance("--no-worker")

    def start(self, *servers: Server) -> Sequence[Server]:
        """All at once."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(Server.start, servers))
        return servers

    def stop(self) -> None:
        """End whatever still runs."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(Server.stop, self._servers))

    def surprises(self) -> list[str]:
        """What was logged as an error. What they are there to cope with is worth a warning."""
        lines = (line for server in self._servers for line in log_of(server).splitlines())
        return [line for line in lines if " ERROR " in line and STOPPED_WITH_STREAMS not in line]

    def story(self, *, last: int) -> str:
        """What all of them logged, of each so many characters at most."""
        return "\n".join(f"==== {server.url}\n{log_of(server)[-last:]}" for server in self._servers)


def log_of(server: Server) -> str:
    """Everything it has logged so far, in all its lives."""
    return server.log.read_text(errors="replace") if server.log.exists() else ""


def _without_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    ours = {
        str(field.validation_alias or f"FAST_GRAPH_{name.upper()}") for name, field in Settings.model_fields.items()
    }
    return {name: value for name, value in environment.items() if name not in ours}
