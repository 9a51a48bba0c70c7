"""Clients as a test needs them: they wait for conditions, and follow streams beside it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx

from tests.integration.serving import Event, events_of
from tests.services.processes import Server

PATIENCE = 40.0
"""Seconds until a test gives up on what should have happened long ago."""

LOOK = 0.02
"""Seconds between two looks."""


async def eventually(happened: Callable[[], Any], what: str, *, within: float = PATIENCE) -> Any:
    """The first true answer, plain or awaited."""
    try:
        async with asyncio.timeout(within):
            while not (found := await _answer(happened())):  # noqa: ASYNC110 - what happens, happens elsewhere
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise AssertionError(f"still not so after {within} seconds: {what}") from None
    return found


async def _answer(value: Any) -> Any:
    return await value if asyncio.iscoroutine(value) else value


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=limits) as client:
        yield client


class Stream:
    """A stream that is read as it comes. Runs in a task of the test's group."""

    def __init__(self, client: httpx.AsyncClient, method: str, path: str, **request: Any) -> None:
        self.events: list[Event] = []
        self.ended = False
        self.broken = False
        """Whether it ended in the middle of a message."""
        self.headers: Mapping[str, str] = {}
        self._client = client
        self._request = {"method": method, "url": path, **request}

    async def read(self) -> None:
        try:
            async with self._client.stream(**self._request) as response:
                assert response.status_code == 200, await response.aread()
                self.headers = response.headers
                async for event in events_of(response):
                    self.events.append(event)
        except httpx.RemoteProtocolError:
            self.broken = True
        finally:
            self.ended = True

    @property
    def attempts(self) -> list[int]:
        """As announced, in order."""
        return [event.data["attempt"] for event in self.events if event.name == "metadata"]

    @property
    def said(self) -> list[tuple[int, int, int]]:
        """Step, number and process of each event of a node, in order."""
        custom = (event.data for event in self.events if event.name == "custom")
        return [(data["step"], data["number"], data["pid"]) for data in custom]

    @property
    def last_id(self) -> str:
        """By which another stream goes on."""
        return next(event.id for event in reversed(self.events) if event.id)

    def assert_in_order(self) -> None:
        """Every number once, rising, without a gap."""
        numbers = [int(event.id.partition("-")[2]) for event in self.events if event.id]
        assert numbers, "the stream is empty"
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def run_of(item: str, *, steps: int, **told: Any) -> dict[str, Any]:
    """The body of a run whose steps are written down under that item; its stream can be resumed."""
    return {
        "assistant_id": "steps",
        "input": {"item": item, "steps": steps, "at": 0, "gates": {}, "blocks": {}, "dies": {}, **told},
        "stream_mode": ["custom", "updates"],
        "stream_resumable": True,
        "if_not_exists": "create",
        "metadata": {"item": item},
    }


def items_of(item: str, steps: int) -> list[str]:
    """What a whole run adds to its thread."""
    return [f"{item}.{step}" for step in range(steps)]


async def until_idle(client: httpx.AsyncClient, *threads: str) -> None:
    """Returns when nothing is in flight on any of them, and none failed."""
    for thread in threads:
        await eventually(partial(thread_is, client, thread, "idle"), f"thread {thread} is idle")


async def thread_is(client: httpx.AsyncClient, thread: str, status: str) -> bool:
    answer = await client.get(f"/threads/{thread}")
    return answer.status_code == 200 and answer.json()["status"] == status


async def assert_linear(client: httpx.AsyncClient, thread: str) -> None:
    """Each checkpoint of the thread has the one before it as its parent: nobody wrote beside the line."""
    history = (await client.post(f"/threads/{thread}/history", json={"limit": 1000})).json()
    ids = [state["checkpoint"]["checkpoint_id"] for state in history]
    parents = [state["parent_checkpoint"] and state["parent_checkpoint"]["checkpoint_id"] for state in history]
    assert parents == [*ids[1:], None]
    assert max(Counter(ids).values()) == 1
