"""What the tests of the Redis parts share: processes that are objects, and what they wait for."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import redis

from fast_graph.backends.redis.link import RedisLink
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.redis.signals import RedisSignals
from fast_graph.backends.redis.streams import RedisStreams, StreamBounds
from fast_graph.model.records import Event, Lease, Record
from fast_graph.storage.stream import Reader
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_id, new_run

PATIENCE = 30.0
DONE = b'{"done":true}'
NOW = datetime(2025, 1, 1, tzinfo=UTC)


class Process:
    """What one process has. Two of them have nothing but Redis in common."""

    def __init__(
        self, url: str, *, bounds: StreamBounds | None = None, link: type[RedisLink] = RedisLink, **options: Any
    ) -> None:
        self.link = link(RedisOptions(url=url, **options))
        self.streams = RedisStreams(self.link, lambda: NOW, bounds or StreamBounds())
        self.signals = RedisSignals(self.link)

    async def __aenter__(self) -> Self:
        await self.link.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.link.__aexit__(kind, error, trace)


def new_lease(token: int = 1) -> Lease:
    return Lease(run=new_run(OwnedClock(), new_id()), worker="worker", token=token, expires_at=NOW)


def events(*names: str) -> list[Event]:
    return [Event(name, b'"%s"' % name.encode()) for name in names]


async def say(process: Process, lease: Lease, *names: str) -> None:
    """Open the log of a lease, and append an event of each name by itself."""
    await process.streams.open(lease)
    for event in events(*names):
        await process.streams.append(lease, [event])


def numbers(records: Sequence[Record]) -> list[int]:
    return [record.seq for record in records]


async def rest(reader: Reader, *, until: int) -> list[Record]:
    """The next records, as many batches as it takes."""
    found: list[Record] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < until:
            batch = await reader.batch(idle=PATIENCE)
            assert batch is not None, f"it ended after {numbers(found)}"
            found += batch
    return found


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what nobody announces."""
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110 - it is in Redis
            await asyncio.sleep(0.005)


def times_to_live(url: str) -> dict[bytes, int]:
    """Every key, and the milliseconds it has to live; -1 is for ever."""
    with redis.Redis.from_url(url) as client:
        return {key: int(client.pttl(key)) for key in client.scan_iter()}
