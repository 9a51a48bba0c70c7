"""Clients that follow runs through several addresses, and come back when they are cut off."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import httpx
import orjson
from redis.asyncio import Redis

from fast_graph.backends.redis.wire import Names

FRAME = b"\r\n\r\n"


class Seen(NamedTuple):
    """An event as a reader got it."""

    seq: int
    """The number in its id."""
    name: str
    data: Any


async def frames(response: httpx.Response) -> AsyncGenerator[tuple[str, Seen], None]:
    """The events of a resumable stream with their ids, as they come; comments are left out."""
    rest = b""
    async for piece in response.aiter_bytes():
        *whole, rest = (rest + piece).split(FRAME)
        for frame in whole:
            if not frame.startswith(b":"):
                yield _event(frame)


def _event(frame: bytes) -> tuple[str, Seen]:
    fields = dict(line.split(b": ", 1) for line in frame.split(b"\r\n"))
    event_id = fields[b"id"].decode()
    return event_id, Seen(int(event_id.partition("-")[2]), fields[b"event"].decode(), orjson.loads(fields[b"data"]))


@dataclass
class Followed:
    """A run under way: how far it has come, by the reader who has followed it from its start."""

    thread_id: str
    run_id: str = ""
    reached: int = 0
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def path(self) -> str:
        return f"/threads/{self.thread_id}/runs/{self.run_id}/stream"

    async def move(self, seq: int) -> None:
        """Say how far it has come."""
        self.reached = seq
        async with self._moved:
            self._moved.notify_all()

    async def comes_to(self, seq: int) -> None:
        """Wait until it is there."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.reached >= seq)


class Log:
    """How far a run's log has come in Redis itself."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def last(self, run_id: str) -> int:
        """The number of the last event that is kept."""
        newest: Any = await self._client.xrevrange(Names.of(run_id, self._prefix).log, count=1)
        return int(newest[0][0].partition(b"-")[0]) if newest else 0


@dataclass
class Reader:
    """Follows a run to its end. Every time it loses its connection, it goes on at another address."""

    run: Followed
    urls: Sequence[str]
    chance: Random
    from_start: bool
    """Whether it asks for all there was, or takes what comes from now on."""
    comes_at: int = 0
    """How far the run is when it comes."""
    leaves_at: Sequence[int] = ()
    """How much it has seen each time when it hangs up."""
    leads: bool = False
    """Whether it says how far the run has come."""
    seen: list[Seen] = field(default_factory=list)
    first: tuple[int, int] = (1, 1)
    """Between which numbers its first event must be."""
    left: int = 0
    """How often it has hung up."""
    lost: int = 0
    """How often it was hung up on."""
    _last_id: str | None = None

    async def follow(self, client: httpx.AsyncClient, log: Log) -> None:
        """Come when it is time, and read until the stream ends in good order."""
        await self.run.comes_to(self.comes_at)
        self._last_id = "-1" if self.from_start else None
        url = self.chance.choice(self.urls)
        while not await self._read(client, url, log):
            url = self.chance.choice([other for other in self.urls if other != url])

    async def _read(self, client: httpx.AsyncClient, url: str, log: Log) -> bool:
        """Whether it has come to the end of the stream."""
        before = await log.last(self.run.run_id)
        headers = {} if self._last_id is None else {"last-event-id": self._last_id}
        try:
            async with client.stream("GET", url + self.run.path, headers=headers) as response:
                assert response.status_code == 200, await response.aread()
                if self._last_id is None:
                    self.first = (before + 1, await log.last(self.run.run_id) + 1)
                return await self._take(response)
        except httpx.TransportError:
            self.lost += 1
            return False

    async def _take(self, response: httpx.Response) -> bool:
        async with aclosing(frames(response)) as events:
            async for self._last_id, event in events:
                self.seen.append(event)
                if self.leads:
                    await self.run.move(event.seq)
                if len(self.seen) in self.leaves_at:
                    self.left += 1
                    return False
        return True

    def faults(self, whole: Sequence[Seen]) -> Counter[str]:
        """What is wrong with what it has seen of the whole stream, from where it came in."""
        numbers = [event.seq for event in self.seen]
        begin = numbers[0] if numbers else len(whole) + 1
        earliest, latest = self.first
        return Counter(
            lost=len({event.seq for event in whole[begin - 1 :]} - set(numbers)),
            repeated=len(numbers) - len(set(numbers)),
            out_of_order=sum(one > following for one, following in pairwise(numbers)),
            changed=sum(event not in whole[event.seq - 1 : event.seq] for event in self.seen),
            begun_elsewhere=not earliest <= begin <= latest,
        )
