"""Instances of an ASGI app, each in a process of its own."""

import os
import sys
from collections.abc import Mapping

from tests.services.processes import LOCAL, Bench, Server, accepts, free_port


def app_server(bench: Bench, target: str, environment: Mapping[str, str] | None = None, *options: str) -> Server:
    """The app that ``module:name`` names, not started yet; the options are uvicorn's."""
    place, port = bench.place("app"), free_port()
    address = ["--host", LOCAL, "--port", str(port)]
    habits = ["--log-level", "warning", "--timeout-graceful-shutdown", "5"]
    return Server(
        bench=bench,
        place=place,
        port=port,
        url=f"http://{LOCAL}:{port}",
        command=[sys.executable, "-m", "uvicorn", target, *address, *habits, *options],
        ready=lambda: accepts(port),
        environment={**os.environ, **(environment or {})},
    )
