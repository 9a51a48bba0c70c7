"""Brings a run's events to the stream log in batches, without the graph waiting for it."""

import asyncio
import contextlib

from fast_graph.model.records import Event, Lease
from fast_graph.storage.stream import StreamLog

LINGER = 0.002
"""Seconds between two batches at full speed. The first event after a pause goes at once."""

MOST_BYTES = 4 * 1024 * 1024
"""How much may wait to be appended before the graph is made to wait."""


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

    async def put(self, event: Event) -> None:
        """Queue an event; waits only while far too much is queued."""
        self._waiting.append(event)
        self._size += len(event.data)
        self._work.set()
        if self._size > MOST_BYTES and not self._closing.is_set():
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Append until ``close``, and then what is left. Raises what the log raises."""
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
        if batch:
            await self._log.append(self._lease, batch)

    async def _linger(self) -> None:
        """Let a batch gather, unless this was the last one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._closing.wait()
