"""The stream log of any backend, with events and results encrypted."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fast_graph.backends.sealed.cipher import Keyring
from fast_graph.model.errors import UnavailableError
from fast_graph.model.records import Event, Lease, Record
from fast_graph.storage.stream import Reader, StreamLog


class SealedReader:
    """A reader of sealed events."""

    def __init__(self, reader: Reader, keys: Keyring) -> None:
        self._reader = reader
        self._keys = keys

    async def batch(self, *, idle: float) -> Sequence[Record] | None:
        records = await self._reader.batch(idle=idle)
        return records and [record._replace(data=self._keys.open(record.data)) for record in records]

    async def result(self, *, idle: float) -> bytes | None:
        result = await self._reader.result(idle=idle)
        return None if result is None else self._keys.open(result)


class SealedStreams:
    """The StreamLog port. The names of events stay as they are."""

    def __init__(self, streams: StreamLog, keys: Keyring) -> None:
        self._streams = streams
        self._keys = keys
        self._doubtful: dict[str, tuple[Sequence[Event], Sequence[Event]]] = {}

    async def open(self, lease: Lease) -> None:
        await self._streams.open(lease)

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """A log knows events by their bytes, so those that are appended again must be sealed as they were."""
        run_id, given = lease.run.run_id, list(events)
        before, sealed = self._doubtful.pop(run_id, (None, ()))
        if before != given:
            sealed = [event._replace(data=self._keys.seal(event.data)) for event in given]
        try:
            await self._streams.append(lease, sealed)
        except UnavailableError:
            self._doubtful[run_id] = (given, sealed)
            raise

    @asynccontextmanager
    async def follow(self, run_id: str, *, after: int | None, fresh: bool = False) -> AsyncIterator[SealedReader]:
        async with self._streams.follow(run_id, after=after, fresh=fresh) as reader:
            yield SealedReader(reader, self._keys)

    async def close(self, run_id: str, result: bytes, *, keep: bool) -> None:
        self._doubtful.pop(run_id, None)
        await self._streams.close(run_id, self._keys.seal(result), keep=keep)
