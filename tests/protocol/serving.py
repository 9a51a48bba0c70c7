"""Servers for tests: one on a port, in a thread of its own, and one without a network."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Event, Thread
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from fast_graph import Settings

PATIENCE = 20
"""Seconds after which something that should happen is taken not to."""


def settings(**changes: Any) -> Settings:
    """The defaults, whatever the environment says; stopping waits for no run."""
    return Settings.model_construct(**{"drain": 0, **changes})


class TestServer(uvicorn.Server):
    """Tells when it is up."""

    __test__ = False

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of a server of the app."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = TestServer(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=2))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
    thread.start()
    try:
        assert server.up.wait(PATIENCE), "the server did not start"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@asynccontextmanager
async def in_process(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, started, without a network. Answers arrive in one piece."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://server", timeout=PATIENCE) as client,
    ):
        yield client
