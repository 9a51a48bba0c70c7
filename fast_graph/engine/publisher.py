"""Brings a run's events to the stream log in batches, without the graph waiting for it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from fast_graph.engine.insisting import insist
from fast_graph.model.errors import UnavailableError
from fast_graph.model.records import Event, Lease
from fast_graph.storage.stream import StreamLog

LINGER = 0.005
"""Seconds between two batches at full speed. The first event after a pause goes at once."""

MOST_BYTES = 4 * 1024 * 1024
"""How much may wait to be appended before the graph is made to wait."""

PATIENCE = 60.0
"""Seconds the log may be away before the run goes on without it. Its readers get what the thread keeps."""

log = logging.getLogger("fast_graph.engine")


class Publisher:
    """A queue of events, and one task that appends whatever is in it."""

    def __init__(self, log: StreamLog, lease: Lease) -> None:
        self._log = log
        self._lease = lease
        self._waiting: list[Event] = []
        self._size = 0
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = asyncio.Event()
        self._given_up = False

    async def open(self) -> None:
        """Raise the log's fence. Raises LeaseLostError."""
        await self._insist(lambda: self._log.open(self._lease))

    async def put(self, event: Event) -> None:
        """Queue an event; waits only while far too much is queued."""
        self._waiting.append(event)
        self._size += len(event.data)
        self._work.set()
        if self._size > MOST_BYTES and not self._closing.is_set():
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Append until ``close``, and then what is left. Raises LeaseLostError."""
        try:
            while not self._closing.is_set():
                await self._work.wait()
                await self._append()
                await self._linger()
            await self._append()
        finally:
            # Nobody shall wait for room that no one will make.
            self._closing.set()
            self._room.set()

    def close(self) -> None:
        """Let ``run`` end once everything is appended."""
        self._closing.set()
        self._work.set()

    async def _append(self) -> None:
        batch, self._waiting, self._size = self._waiting, [], 0
        self._work.clear()
        self._room.set()
        if batch and not self._given_up:
            await self._insist(lambda: self._log.append(self._lease, batch))

    async def _insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Wait for a log that is away; after too long a time, do without it: a log with a hole would be worse."""
        try:
            await insist(step, patience=PATIENCE)
        except UnavailableError:
            self._given_up = True
            log.exception("stream given up: run=%s", self._lease.run.run_id)

    async def _linger(self) -> None:
        """Let a batch gather, unless this was the last one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._closing.wait()
