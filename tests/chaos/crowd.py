"""The clients of a storm: they go to any instance, and come back after a broken connection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import httpx
import orjson

from tests.chaos.clients import run_of
from tests.integration.serving import Event, events_of

PAUSE = 0.2
"""Seconds before a client tries again."""
TIMEOUT = 30.0
"""Seconds of silence after which a client gives a connection up; servers say something every five."""
PATIENCE = 120.0
"""Seconds after the storm until nobody waits any more."""
STEPS = (1, 5)
TAKES = (0.0, 1.0)
"""Seconds of a step."""

Kind = Literal["queued", "waited", "streamed", "asked", "cancelled", "alone", "alone waited"]
KINDS: Mapping[Kind, int] = {
    "queued": 8,
    "waited": 3,
    "streamed": 3,
    "asked": 2,
    "cancelled": 3,
    "alone": 2,
    "alone waited": 2,
}
"""How often each is met."""
SHARED: frozenset[Kind] = frozenset({"queued", "waited", "streamed", "cancelled"})
"""On threads that many runs share, which wait for each other there."""


@dataclass(kw_only=True)
class Wanted:
    """One request for a run, and what its client knows of it."""

    item: str
    kind: Kind
    thread: str | None
    steps: int
    run_id: str | None = None
    """Known if it was accepted for certain."""
    answer: Any = None
    """What those got who waited."""
    events: list[Event] = field(default_factory=list)
    gap: bool = False
    """Its reader was told of a loss."""
    cancelled: bool = False
    served: bool = False
    """Its client waits for nothing more."""

    @property
    def accepted(self) -> bool:
        return self.run_id is not None


class UnsureError(Exception):
    """Whether a request was accepted is not known."""


class Crowd:
    """Sends what a seed decides."""

    def __init__(self, seed: int, urls: Sequence[str], *, runs: int, over: float) -> None:
        """So many runs, over so many seconds."""
        self.wanted: list[Wanted] = []
        self._random = Random(f"{seed} crowd")
        self._urls = urls
        self._runs = runs
        self._over = over
        self._threads = max(4, runs // 12)

    async def come(self, all_here: Callable[[], None]) -> None:
        """Returns when everybody has what they came for; those who have it too late never get it."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=TIMEOUT, limits=limits) as self._client:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                    for number in range(self._runs):
                        group.create_task(self._attend(number, self._next_kind()))
                        await asyncio.sleep(self._random.uniform(0, 2 * self._over / self._runs))
                    all_here()
                    limit.reschedule(asyncio.get_running_loop().time() + PATIENCE)

    def _next_kind(self) -> Kind:
        (kind,) = self._random.choices(list(KINDS), weights=list(KINDS.values()))
        return kind

    async def _attend(self, number: int, kind: Kind) -> None:
        """Ask for a run until one is accepted for certain. Each time it is another run."""
        thread = self._thread(number, kind)
        for attempt in range(1000):
            wanted = Wanted(item=f"r{number}t{attempt}", kind=kind, thread=thread, steps=self._random.randint(*STEPS))
            self.wanted.append(wanted)
            try:
                await self._serve(wanted)
            except UnsureError:
                wanted.served = True
                await asyncio.sleep(PAUSE)
            else:
                wanted.served = True
                return

    def _thread(self, number: int, kind: Kind) -> str | None:
        if kind in SHARED:
            return f"shared-{self._random.randrange(self._threads)}"
        return f"own-{number}" if kind == "asked" else None

    async def _serve(self, wanted: Wanted) -> None:
        body = run_of(wanted.item, steps=wanted.steps, takes=self._random.uniform(*TAKES))
        if wanted.kind in ("queued", "alone"):
            await self._create(wanted, body)
        elif wanted.kind in ("waited", "alone waited"):
            await self._wait(wanted, body)
        elif wanted.kind == "streamed":
            await self._stream(wanted, body)
        elif wanted.kind == "cancelled":
            await self._create(wanted, body)
            await self._cancel(wanted)
        else:
            await self._ask(wanted, body)

    # ---------------------------------------------------------------- what they do

    async def _create(self, wanted: Wanted, body: Mapping[str, Any]) -> None:
        async with self._request("POST", self._path(wanted, "runs"), json=body) as answer:
            wanted.run_id = (await _json(answer))["run_id"]

    async def _wait(self, wanted: Wanted, body: Mapping[str, Any]) -> None:
        try:
            async with self._request("POST", self._path(wanted, "runs/wait"), json=body) as answer:
                self._note(wanted, answer)
                wanted.answer = await _json(answer)
        except UnsureError:
            if not wanted.accepted:
                raise
            wanted.answer = await self._insist("GET", self._path(wanted, f"runs/{wanted.run_id}/join"))

    async def _stream(self, wanted: Wanted, body: Mapping[str, Any]) -> None:
        try:
            await self._read(wanted, "POST", self._path(wanted, "runs/stream"), json=body)
        except UnsureError:
            if not wanted.accepted:
                raise
            await self._read_on(wanted)

    async def _read_on(self, wanted: Wanted) -> None:
        while True:
            seen = next((event.id for event in reversed(wanted.events) if event.id), "-1")
            path = self._path(wanted, f"runs/{wanted.run_id}/stream")
            try:
                await self._read(wanted, "GET", path, headers={"last-event-id": seen})
            except UnsureError:
                await asyncio.sleep(PAUSE)
            else:
                return

    async def _read(self, wanted: Wanted, method: str, path: str, **request: Any) -> None:
        async with self._request(method, path, **request) as answer:
            self._note(wanted, answer)
            async for event in events_of(answer):
                if event.name == "error" and event.data["error"] == "StreamTruncatedError":
                    wanted.gap = True
                else:
                    wanted.events.append(event)

    async def _cancel(self, wanted: Wanted) -> None:
        """At some moment of its life; it may be too late."""
        await asyncio.sleep(self._random.uniform(0, 1))
        wanted.cancelled = True
        await self._insist("POST", self._path(wanted, f"runs/{wanted.run_id}/cancel"))

    async def _ask(self, wanted: Wanted, body: Mapping[str, Any]) -> None:
        """A run that asks, and then, on the same thread, the run that answers."""
        await self._create(wanted, {**body, "assistant_id": "ask"})
        while (await self._insist("GET", f"threads/{wanted.thread}"))["status"] == "busy":  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(PAUSE)
        await self.answer(wanted, 0)

    async def answer(self, asked: Wanted, attempt: int) -> None:
        """Resume what an interrupt has stopped."""
        item = f"{asked.item}a{attempt}"
        answering = Wanted(item=item, kind="asked", thread=asked.thread, steps=0, served=True)
        self.wanted.append(answering)
        body = {"assistant_id": "ask", "command": {"resume": f"{asked.item} answered"}, "metadata": {"item": item}}
        try:
            await self._create(answering, body)
        except UnsureError:
            runs = await self._settled_runs(asked)
            if item not in [run["metadata"]["item"] for run in runs]:
                await self.answer(asked, attempt + 1)

    async def _settled_runs(self, asked: Wanted) -> list[Any]:
        """The runs of a thread once a request whose fate is unknown cannot be accepted any more."""
        await asyncio.sleep(10)
        found: list[Any] = await self._insist("GET", f"threads/{asked.thread}/runs?limit=1000")
        return found

    # ---------------------------------------------------------------- how they ask

    def _path(self, wanted: Wanted, path: str) -> str:
        return path if wanted.thread is None else f"threads/{wanted.thread}/{path}"

    def _note(self, wanted: Wanted, answer: httpx.Response) -> None:
        wanted.run_id = answer.headers["content-location"].rpartition("/")[2]

    async def _insist(self, method: str, path: str) -> Any:
        """The answer to what may be asked any number of times."""
        while True:
            try:
                async with self._request(method, path) as answer:
                    return await _json(answer)
            except UnsureError:
                await asyncio.sleep(PAUSE)

    @asynccontextmanager
    async def _request(self, method: str, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """From any instance that takes connections. Raises UnsureError."""
        body = {"if_not_exists": "create", **request.pop("json")} if "json" in request else None
        while True:
            url = f"{self._random.choice(self._urls)}/{path}"
            try:
                async with self._client.stream(method, url, json=body, **request) as answer:
                    _check(answer)
                    yield answer
                    return
            except httpx.ConnectError:
                await asyncio.sleep(PAUSE)
            except httpx.TransportError as error:
                raise UnsureError from error


def _check(answer: httpx.Response) -> None:
    """Raises UnsureError for what a client is to repeat later; anything else that is not well is a bug."""
    if answer.status_code == 503:
        assert answer.headers["retry-after"]
        raise UnsureError
    assert answer.status_code < 300 or (answer.status_code == 404 and answer.url.path.endswith("/cancel")), (
        f"{answer.request.method} {answer.url} was answered with {answer.status_code}"
    )


async def _json(answer: httpx.Response) -> Any:
    text = await answer.aread()
    return orjson.loads(text) if text.strip() else None
