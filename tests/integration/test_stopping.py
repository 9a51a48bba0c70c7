"""SIGTERM: the process ends by itself, and every client is let go."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from tests.integration.serving import Process, process

FOREVER = {"assistant_id": "forever", "input": {}, "if_not_exists": "create"}


async def ended(server: Process) -> int:
    """The exit status, once the process has ended by itself."""
    return await server.child.wait()


async def until_busy(server: Process, threads: int) -> None:
    """Waits until as many threads are busy."""
    while (await server.client.post("/threads/count", json={"status": "busy"})).json() < threads:
        pass


async def test_a_server_without_runs_ends_at_once() -> None:
    async with process() as server:
        server.terminate()
        assert await ended(server) in (0, -15)


@pytest.mark.parametrize("readers", [1, 50])
async def test_streams_end_and_the_process_with_them(readers: int) -> None:
    async with process(drain="0.5") as server, asyncio.TaskGroup() as group:
        begun = asyncio.Semaphore(0)
        for number in range(readers):
            group.create_task(read(server, f"/threads/{number}/runs/stream", begun))
        for _ in range(readers):
            await begun.acquire()
        server.terminate()
        assert await ended(server) in (0, -15)


async def read(server: Process, path: str, begun: asyncio.Semaphore) -> None:
    """Follows a run until the connection ends, in whatever way."""
    with suppress(httpx.RemoteProtocolError):
        async with server.client.stream("POST", path, json=FOREVER) as response:
            async for piece in response.aiter_bytes():
                if b"event: metadata" in piece:
                    begun.release()


@pytest.mark.parametrize("path", ["/threads/t/runs/wait", "/runs/wait"])
async def test_waiting_clients_do_not_keep_the_process_alive(path: str) -> None:
    async with process(drain="0.5") as server, asyncio.TaskGroup() as group:
        waiting = group.create_task(read(server, path, asyncio.Semaphore()))
        await until_busy(server, 1)
        server.terminate()
        assert await ended(server) in (0, -15)
    assert waiting.done()


async def test_runs_in_the_background_do_not_keep_the_process_alive() -> None:
    async with process(drain="0.5") as server:
        for number in range(10):
            await server.client.post(f"/threads/{number}/runs", json=FOREVER)
        server.terminate()
        assert await ended(server) in (0, -15)
