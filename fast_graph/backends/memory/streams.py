"""Stream logs in memory: one deque per run, and readers that are woken by the append."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

from fast_graph.backends.live import LiveLog
from fast_graph.backends.memory.ledger import Bounds
from fast_graph.model.clock import Clock
from fast_graph.model.errors import LeaseLostError, StreamTruncatedError
from fast_graph.model.records import Event, Lease, Record


class Log(LiveLog):
    """What one run has said so far, and who may add to it."""

    def __init__(self) -> None:
        super().__init__()
        self.token = 0
        self.records: deque[Record] = deque()
        self.size = 0
        self.last_ms = 0
        self.keep = False

    def add(self, event: Event, ms: int) -> None:
        """Append one event under the next number."""
        self.last_seq += 1
        self.last_ms = max(self.last_ms, ms)
        self.records.append(Record(self.last_seq, self.last_ms, event.name, event.data))
        self.size += len(event.data)

    def trim(self, most: int) -> None:
        """Drop the oldest records until the rest fits; the newest one stays, however large."""
        while self.size > most and len(self.records) > 1:
            self.size -= len(self.records.popleft().data)


class MemoryReader:
    """A reader of one log. Knows the number of the last record it was given."""

    def __init__(self, log: Log, run_id: str, after: int) -> None:
        self._log, self._run_id, self._after = log, run_id, after

    async def batch(self, *, idle: float) -> Sequence[Record] | None:
        while True:
            if found := self._fresh():
                return found
            if self._log.closed:
                return None
            if not await self._log.change(idle):
                return ()

    def _fresh(self) -> Sequence[Record]:
        records = self._log.records
        if not records or records[-1].seq <= self._after:
            return ()
        first = records[0].seq
        if first > self._after + 1:
            raise StreamTruncatedError(
                f"Events {self._after + 1} to {first - 1} of run {self._run_id} are no longer kept"
            )
        # A reader is rarely far behind: walk back from the newest record to the first it has not seen.
        fresh = list(islice(reversed(records), records[-1].seq - self._after))
        fresh.reverse()
        self._after = records[-1].seq
        return fresh

    async def result(self, *, idle: float) -> bytes | None:
        return await self._log.outcome(idle)


class MemoryStreams:
    """The reference of the StreamLog port."""

    def __init__(self, clock: Clock, bounds: Bounds) -> None:
        self._clock = clock
        self._bounds = bounds
        self._logs: dict[str, Log] = {}
        self._kept: deque[tuple[float, str, int]] = deque()
        self._kept_bytes = 0

    async def open(self, lease: Lease) -> None:
        self._expire()
        log = self._logs.setdefault(lease.run.run_id, Log())
        if log.token > lease.token:
            raise LeaseLostError(f"A newer lease has opened the stream of run {lease.run.run_id}")
        log.token = lease.token

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        log = self._logs.get(lease.run.run_id)
        if log is None or log.closed or log.token != lease.token:
            raise LeaseLostError(f"The stream of run {lease.run.run_id} is closed to {lease.worker}")
        ms = int(self._clock().timestamp() * 1000)
        for event in events:
            log.add(event, ms)
        log.trim(self._bounds.stream_bytes)
        log.wake()

    @asynccontextmanager
    async def follow(self, run_id: str, *, after: int | None, fresh: bool = False) -> AsyncIterator[MemoryReader]:
        self._expire()
        log = self._logs.setdefault(run_id, Log())
        log.readers += 1
        try:
            yield MemoryReader(log, run_id, _start(log, after))
        finally:
            log.readers -= 1
            self._drop_unless_needed(run_id, log)

    async def close(self, run_id: str, result: bytes, *, keep: bool) -> None:
        log = self._logs.get(run_id)
        if log is None or log.closed:
            return
        log.closed, log.result, log.keep = True, result, keep
        if keep:
            self._kept.append((self._clock().timestamp() + self._bounds.stream_ttl, run_id, log.size))
            self._kept_bytes += log.size
        log.wake()
        self._drop_unless_needed(run_id, log)
        self._expire()

    def _drop_unless_needed(self, run_id: str, log: Log) -> None:
        ended = log.closed and not log.keep
        never_written = log.token == 0 and not log.closed
        if not log.readers and (ended or never_written) and self._logs.get(run_id) is log:
            del self._logs[run_id]

    def _expire(self) -> None:
        """Let go of what was kept for too long, and of the oldest if it is too much."""
        now = self._clock().timestamp()
        while self._kept and (self._kept[0][0] <= now or self._kept_bytes > self._bounds.kept_stream_bytes):
            _, run_id, size = self._kept.popleft()
            self._kept_bytes -= size
            log = self._logs.get(run_id)
            if log is not None:
                log.keep = False
                self._drop_unless_needed(run_id, log)


def _start(log: Log, after: int | None) -> int:
    """The number after which a reader begins: from now on, from the first that is kept, or where it left off."""
    if after is None:
        return log.last_seq
    return log.records[0].seq - 1 if after == 0 and log.records else after
