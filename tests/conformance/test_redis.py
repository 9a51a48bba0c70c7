"""The Redis stream log and signals keep the promises of their ports: in one process, and between two."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import cast

import pytest

from fast_graph import testing
from fast_graph.backends.redis.link import RedisLink
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.redis.signals import RedisSignals
from fast_graph.backends.redis.streams import RedisStreams, StreamBounds
from fast_graph.model.records import Event, Lease
from fast_graph.storage.backend import Stores
from fast_graph.storage.signals import Listener, Signal, Signals
from fast_graph.storage.stream import Reader, StreamLog

BOUNDS = StreamBounds(stream_bytes=2000)


@dataclass
class Parts:
    """What these two conformance classes use of ``Stores``."""

    streams: StreamLog
    signals: Signals


class Process:
    """What one process has."""

    def __init__(self, url: str, clock: testing.OwnedClock) -> None:
        self.link = RedisLink(RedisOptions(url=url, max_connections=4))
        self.streams = RedisStreams(self.link, clock, BOUNDS)
        self.signals = RedisSignals(self.link)


class StreamsBetween:
    """Written in one process, and read in another."""

    def __init__(self, writes: StreamLog, reads: StreamLog) -> None:
        self._writes, self._reads = writes, reads

    async def open(self, lease: Lease) -> None:
        await self._writes.open(lease)

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        await self._writes.append(lease, events)

    def follow(self, run_id: str, *, after: int | None, fresh: bool = False) -> AbstractAsyncContextManager[Reader]:
        return self._reads.follow(run_id, after=after, fresh=fresh)

    async def close(self, run_id: str, result: bytes, *, keep: bool) -> None:
        await self._writes.close(run_id, result, keep=keep)


class SignalsBetween:
    """Sent in one process, and heard in another."""

    def __init__(self, sends: Signals, hears: Signals) -> None:
        self._sends, self._hears = sends, hears

    async def send(self, signal: Signal) -> None:
        await self._sends.send(signal)

    def listen(self, listener: Listener) -> AbstractContextManager[None]:
        return self._hears.listen(listener)


@pytest.fixture
def clock() -> testing.OwnedClock:
    return testing.OwnedClock()


@pytest.fixture
async def processes(redis_url: str, clock: testing.OwnedClock) -> AsyncIterator[tuple[Process, Process]]:
    one, two = Process(redis_url, clock), Process(redis_url, clock)
    async with one.link, two.link:
        yield one, two


class OneProcess:
    """Takes what it gives to itself."""

    @pytest.fixture
    def stores(self, processes: tuple[Process, Process]) -> Stores:
        one, _ = processes
        return cast(Stores, Parts(one.streams, one.signals))


class TwoProcesses:
    """Only Redis is between them."""

    @pytest.fixture
    def stores(self, processes: tuple[Process, Process]) -> Stores:
        one, two = processes
        streams, signals = StreamsBetween(one.streams, two.streams), SignalsBetween(one.signals, two.signals)
        return cast(Stores, Parts(streams, signals))


class TestStreams(OneProcess, testing.StreamLogConformance):
    log_bytes = BOUNDS.stream_bytes


class TestStreamsBetweenProcesses(TwoProcesses, testing.StreamLogConformance):
    log_bytes = BOUNDS.stream_bytes


class TestSignals(OneProcess, testing.SignalsConformance): ...


class TestSignalsBetweenProcesses(TwoProcesses, testing.SignalsConformance): ...
