"""Writes of runs that wait a moment for more, so that a superstep, or a whole small run, costs one commit."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from fast_graph.backends.postgres.batch import Batch
from fast_graph.model.errors import FastGraphError, LeaseLostError, UnavailableError

log = logging.getLogger("fast_graph.backends.postgres")

LINGER = 0.005
"""Seconds that writes wait for more."""
MOST_BYTES = 8 * 2**20
"""What may wait of a run before its graph has to."""
MOST_FAILED = 1000
"""Attempts that are remembered as failed."""
PARTING = 10.0
"""Seconds that are given to the last writes when everything closes."""

Store = Callable[[Batch, str, int], Awaitable[None]]
"""Stores a batch for a run that is held under a token. Raises LeaseLostError, UnavailableError."""


class Buffer:
    """What one attempt at a run has written and the database does not have yet.

    It is stored in order, one batch at a time. Once that failed nothing more is taken: what comes later builds on what
    is lost.
    """

    def __init__(self, run_id: str, token: int, store: Store, linger: float) -> None:
        self.run_id = run_id
        self.token = token
        self.failure: Exception | None = None
        self._store = store
        self._linger = linger
        self._waiting, self._leaving = Batch(), Batch()
        self._hurry = asyncio.Event()

    def add(self, batch: Batch) -> None:
        """Take a batch, to be stored by ``run``. Raises what went wrong."""
        self.check()
        self._waiting.add(batch)

    def check(self) -> None:
        """Raises what went wrong, if anything did."""
        if self.failure is not None:
            raise self.failure.with_traceback(None)

    @property
    def full(self) -> bool:
        """Whether the graph has to wait."""
        return self._waiting.size + self._leaving.size >= MOST_BYTES

    def touches(self, thread_id: str | None, namespace: str | None) -> bool:
        """Whether something of that namespace waits or is on its way; None is any."""
        return self._waiting.touches(thread_id, namespace) or self._leaving.touches(thread_id, namespace)

    async def settled(self) -> None:
        """Returns when everything that was added so far is stored, or never will be."""
        newest = self._waiting or self._leaving
        if self._waiting:
            self.hurry()
        if newest:
            await newest.done.wait()

    def hurry(self) -> None:
        """Wait for nothing more."""
        self._hurry.set()

    async def run(self) -> None:
        """Store until nothing is left."""
        try:
            while self._waiting:
                await self._store_next()
        except FastGraphError as error:
            self._fail(error)
        except asyncio.CancelledError:
            self._fail(UnavailableError(f"The writes of run {self.run_id} were not stored: the server is closing"))
            raise
        except Exception as error:
            log.exception("checkpoints refused: run=%s token=%s", self.run_id, self.token)
            self._fail(error)

    async def _store_next(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger):
                await self._hurry.wait()
        self._hurry.clear()
        self._leaving, self._waiting = self._waiting, Batch()
        await self._store(self._leaving, self.run_id, self.token)
        self._leaving.done.set()
        self._leaving = Batch()

    def _fail(self, error: Exception) -> None:
        self.failure = error
        for batch in (self._leaving, self._waiting):
            batch.done.set()
        self._leaving, self._waiting = Batch(), Batch()


class HeldBack:
    """The buffers of all runs of this process. Entered, it stores what they take."""

    def __init__(self, store: Store, *, linger: float = LINGER) -> None:
        self._store = store
        self._linger = linger
        self._stack = AsyncExitStack()
        self._group: asyncio.TaskGroup | None = None
        self._buffers: dict[str, Buffer] = {}
        self._failed: OrderedDict[str, Buffer] = OrderedDict()
        self._untold: set[str] = set()

    async def __aenter__(self) -> Self:
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is left is stored, if that does not take long."""
        for buffer in self._buffers.values():
            buffer.hurry()
        try:
            async with asyncio.timeout(PARTING):
                await self._stack.__aexit__(kind, error, trace)
        except TimeoutError:
            log.warning("checkpoints left behind: runs=%d", len(self._untold))

    async def add(self, batch: Batch, run_id: str, token: int, *, at_once: bool) -> None:
        """Hold a batch back, or wait until it is stored. Raises what became of earlier ones, so LeaseLostError."""
        buffer = self._buffer(run_id, token)
        buffer.add(batch)
        if at_once or buffer.full:
            await buffer.settled()
            buffer.check()

    async def flush(self, run_id: str) -> None:
        """Store what this run has written. Raises what went wrong with it, once."""
        await self.settle_run(run_id)
        failed = self._failed.get(run_id)
        if failed is not None and run_id in self._untold:
            self._untold.discard(run_id)
            failed.check()

    async def settle_run(self, run_id: str) -> None:
        """Store what this run has written, if that can be."""
        buffer = self._buffers.get(run_id)
        if buffer is not None:
            await buffer.settled()

    async def settle(self, thread_id: str | None, namespace: str | None, *, within: float | None) -> None:
        """Store what a reader of this place is about to look for. Raises UnavailableError."""
        for buffer in [one for one in self._buffers.values() if one.touches(thread_id, namespace)]:
            try:
                async with asyncio.timeout(within):
                    await buffer.settled()
            except TimeoutError as error:
                raise UnavailableError("The database does not take what was written") from error
            if isinstance(buffer.failure, UnavailableError):
                buffer.check()

    def _buffer(self, run_id: str, token: int) -> Buffer:
        buffer = self._buffers.get(run_id) or self._failed.get(run_id)
        if buffer is not None and buffer.token > token:
            raise LeaseLostError(f"The lease of run {run_id} is lost: it was claimed again")
        if buffer is None or buffer.token < token:
            buffer = self._opened(run_id, token)
        return buffer

    def _opened(self, run_id: str, token: int) -> Buffer:
        if self._group is None:
            raise RuntimeError("Writes can be held back only while the checkpointer is entered")
        if run_id in self._buffers:
            self._buffers[run_id].hurry()  # an earlier attempt, which is about to learn that it is one
        buffer = self._buffers[run_id] = Buffer(run_id, token, self._store, self._linger)
        self._failed.pop(run_id, None)
        self._untold.discard(run_id)
        self._group.create_task(self._empty(buffer))
        return buffer

    async def _empty(self, buffer: Buffer) -> None:
        try:
            await buffer.run()
        finally:
            if self._buffers.get(buffer.run_id) is buffer:
                del self._buffers[buffer.run_id]
                if buffer.failure is not None:
                    self._remember(buffer)

    def _remember(self, buffer: Buffer) -> None:
        """Whatever else this attempt writes is refused."""
        self._failed[buffer.run_id] = buffer
        self._untold.add(buffer.run_id)
        while len(self._failed) > MOST_FAILED:
            run_id, _ = self._failed.popitem(last=False)
            self._untold.discard(run_id)
