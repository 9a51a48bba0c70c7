"""The port of the stream log: what a run says, in order, for any number of readers."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fast_graph.model.records import Event, Lease, Record


class Reader(Protocol):
    """One reader's place in one run's log. Nothing is lost between its steps."""

    async def batch(self, *, idle: float) -> Sequence[Record] | None:
        """The next records, at least one; ``None`` once the log is closed and read to its end.

        What is kept comes first, then what is appended. An empty batch after ``idle`` seconds of silence, so
        that the reader can look at the run's row: the news of the end may have been lost.
        Raises StreamTruncatedError when records that should come next are gone.
        """
        ...

    async def result(self, *, idle: float) -> bytes | None:
        """The JSON that ``close`` was given, as soon as it was; ``None`` after ``idle`` seconds without it."""
        ...


class StreamLog(Protocol):
    """One append-only log per run, written by the holder of its lease.

    Laws: events are appended before the queue's ``finish``, and ``finish`` comes before ``close``; a reader
    that resumes after an id sees every later event once and in order.
    """

    async def open(self, lease: Lease) -> None:
        """Raise the fence: older tokens can append no more. Numbering goes on where an earlier attempt ended.

        Raises LeaseLostError if a newer token has opened it.
        """
        ...

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """Add events, all or none. The log is bounded: when it is full the oldest events go.

        Raises LeaseLostError if a newer token has opened the log, or it is closed.
        """
        ...

    def follow(self, run_id: str, *, after: int | None, fresh: bool = False) -> AbstractAsyncContextManager[Reader]:
        """Read from after ``after`` (0: all that is kept), or, with ``None``, only what comes from now on.

        ``fresh`` says that the id was made just now, so that there is nothing to be looked up.
        May begin before the run exists: what a reader follows is kept for it, whatever ``close`` says.
        """
        ...

    async def close(self, run_id: str, result: bytes, *, keep: bool) -> None:
        """End the log. Idempotent, and anyone may do it.

        ``result`` is the JSON that waiting clients get. With ``keep`` the records can be read again until the
        log's time to live ends; without, they go as the last present reader leaves.
        """
        ...
