"""Apps and clients for tests of how the server is put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from fast_graph import Settings
from tests.unit.graphs.sources import compiled

PATIENCE = 20
"""Seconds after which something that should happen is taken not to."""

DEFAULTS = Settings.model_construct(drain=0)
"""The defaults, whatever the environment says; stopping waits for no run."""

GRAPHS: dict[str, object] = {"shout": compiled()}
HI = {"assistant_id": "shout", "input": {"text": "hi"}}


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that somebody else has started."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server", timeout=PATIENCE) as client:
        yield client


@asynccontextmanager
async def started(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, which lives as long."""
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


async def answer(client: httpx.AsyncClient, prefix: str = "") -> Any:
    """What a run on the server says in the end."""
    reply = await client.post(f"{prefix}/runs/wait", json=HI)
    assert reply.status_code == 200, reply.text
    return reply.json()
