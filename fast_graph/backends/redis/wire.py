"""What a run's log looks like in Redis: the names of its keys, and its batches and its end as bytes."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import ormsgpack

from fast_graph.model.records import Event, Record

BATCH, END = b"b", b"e"
"""The first byte of each kind of message."""

_HEADER = struct.Struct(">cQQI")


class Names(NamedTuple):
    """The names of one run's keys. The braces keep them on one node of a cluster."""

    log: str
    """A Redis Stream with an entry per batch: ``<number of its last event>-<milliseconds>``."""
    meta: str
    """A hash: who may append, and how it ended."""
    news: bytes
    """The channel on which batches and the end are published."""

    @classmethod
    def of(cls, run_id: str, prefix: str) -> "Names":
        base = f"{prefix}:{{{run_id}}}"
        return cls(f"{base}:log", f"{base}:meta", f"{base}:news".encode())


class Batch(NamedTuple):
    """Events that are appended together, and their place in the log."""

    first: int
    ms: int
    events: Sequence[Event]

    @property
    def last(self) -> int:
        return self.first + len(self.events) - 1

    @property
    def entry(self) -> str:
        """The id of its entry."""
        return f"{self.last}-{self.ms}"

    def records(self) -> tuple[Record, ...]:
        first, ms = self.first, self.ms
        return tuple([Record(seq, ms, name, data) for seq, (name, data) in enumerate(self.events, first)])

    def pack(self) -> bytes:
        flat = [part for event in self.events for part in event]
        return _HEADER.pack(BATCH, self.first, self.ms, len(self.events)) + ormsgpack.packb(flat)


def last_of(message: bytes) -> int:
    """The number of a packed batch's last event, without unpacking it."""
    _, first, _, count = _HEADER.unpack_from(message)
    return int(first + count - 1)


def unpack(message: bytes) -> Batch:
    """The opposite of ``pack``."""
    _, first, ms, _ = _HEADER.unpack_from(message)
    flat = ormsgpack.unpackb(memoryview(message)[_HEADER.size :])
    return Batch(first, ms, [Event(name, data) for name, data in zip(flat[::2], flat[1::2], strict=True)])


def unpack_end(message: bytes) -> tuple[int, bytes]:
    """The last event and the result, from ``e<last event> <result>`` as the closing script writes it."""
    last, _, result = message[1:].partition(b" ")
    return int(last), result
