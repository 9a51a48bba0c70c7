"""Real servers on free ports: in this process, where a test can look inside, or in one of their own."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import uvicorn

from fast_graph import Runtime, Settings, fastGraph
from tests.integration.graphs import GRAPHS

ROOT = Path(__file__).parents[2]
NEVER = 3600.0
"""Seconds: intervals that no test lives to see."""


@dataclass(frozen=True)
class Event:
    """A server-sent event as a client reads it."""

    name: str
    data: Any
    id: str | None = None


@dataclass(frozen=True)
class Site:
    """A running server and a client of it."""

    runtime: Runtime
    client: httpx.AsyncClient
    port: int

    async def healthy(self) -> None:
        """Fails unless the server answers, and executes a run at once."""
        assert (await self.client.get("/ok")).status_code == 200
        body = {"assistant_id": "tokens", "input": {"count": 1}}
        assert (await self.client.post("/runs/wait", json=body)).json() == {"log": ["said", "done"], "count": 1}

    async def until_idle(self) -> None:
        """Waits until no run is in flight: each ends its stream as it ends."""
        for run_id in list(self.runtime.worker.running):
            await self.client.get(f"/runs/{run_id}/join")


def listening() -> socket.socket:
    """A socket on a free port. Clients may connect before the server accepts."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(1024)
    return sock


def settings(**changes: Any) -> Settings:
    """Nothing happens by the clock unless a test says so."""
    return Settings(**{"poll": NEVER, "heartbeat": NEVER, "lease": 2 * NEVER, "drain": 1.0, **changes})


@asynccontextmanager
async def serving(graphs: Mapping[str, object] = GRAPHS, *, app: Any = None, **changes: Any) -> AsyncIterator[Site]:
    """A server in this process."""
    app = app or fastGraph(graphs, settings=settings(**changes))
    sock = listening()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=2))
    port = sock.getsockname()[1]
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([sock]))
        try:
            async with client_of(port) as client:
                await client.get("/ok")
                yield Site(app.state.fast_graph, client, port)
        finally:
            server.should_exit = True


def client_of(port: int) -> httpx.AsyncClient:
    """A client that waits as long as it takes."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits)


async def events_of(response: httpx.Response) -> AsyncIterator[Event]:
    """The events of a stream, as they come."""
    found: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            if "event" in found:
                yield Event(found["event"], orjson.loads(found["data"]), found.get("id"))
            found = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


async def streamed(client: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> list[Event]:
    """All events of a run."""
    async with client.stream("POST", path, json=body) as response:
        assert response.status_code == 200, await response.aread()
        return [event async for event in events_of(response)]


@dataclass(frozen=True)
class Process:
    """A server in a process of its own."""

    child: asyncio.subprocess.Process
    client: httpx.AsyncClient
    port: int

    def rss(self) -> int:
        """Bytes of memory it occupies."""
        return int(psutil.Process(self.child.pid).memory_info().rss)

    def terminate(self) -> None:
        """Ask it to end."""
        self.child.send_signal(signal.SIGTERM)


@asynccontextmanager
async def process(**environment: str) -> AsyncIterator[Process]:
    """A server in a process of its own; killed at the end if it still runs."""
    sock = listening()
    port = sock.getsockname()[1]
    variables = {f"FAST_GRAPH_{name.upper()}": value for name, value in environment.items()}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "uvicorn",
        "tests.integration.serve:app",
        f"--fd={sock.fileno()}",
        "--log-level=warning",
        cwd=ROOT,
        pass_fds=[sock.fileno()],
        env={**os.environ, **variables},
    )
    sock.close()
    try:
        async with client_of(port) as client:
            assert (await client.get("/ok")).status_code == 200
            yield Process(child, client, port)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
