"""A SQLite file as checkpoints, items and streams use it: one thread that writes to it, and one that reads.

Work is a plain function of a connection and runs from BEGIN to COMMIT in its thread. So whoever is cancelled while
waiting for it leaves no transaction open, which would keep everybody else from writing.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from fast_graph.backends.sqlite.engine import PATIENCE, PRAGMAS
from fast_graph.model.errors import UnavailableError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
    }
)
"""Errors that say nothing of the statement, but that the file cannot be used."""


class SqliteFile:
    """Opened by ``async with``, once. Every piece of work sees all that was committed before it was asked for.

    ``patience`` is how many seconds a write waits for other connections' transactions.
    """

    def __init__(self, path: Path | str, *, patience: float = PATIENCE) -> None:
        connect = partial(sqlite3.connect, path, timeout=patience, isolation_level=None)
        self._writer = _Lane(connect, PRAGMAS, begin="BEGIN IMMEDIATE")
        self._reader = _Lane(connect, (*PRAGMAS, "query_only=ON"), begin="BEGIN")
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for lane in (self._writer, self._reader):
                stack.push_async_callback(lane.close)
                await lane.open()
            self._closing = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let work that was begun come to its end, and close."""
        await self._closing.aclose()

    async def read(self, work: Work[T]) -> T:
        """Do something that changes nothing, at one moment of the file. Raises UnavailableError."""
        return await asyncio.wrap_future(self._reader.submit(work))

    async def write(self, work: Work[T], *, then: Callable[[T], None] | None = None) -> T:
        """Change everything that ``work`` changes, or nothing if it raises. Raises UnavailableError.

        ``then`` is given the result in the event loop once it is committed, even if the caller was cancelled
        meanwhile, and before the caller goes on.
        """
        written = self._writer.submit(work)
        if then is not None:
            written.add_done_callback(partial(_tell, asyncio.get_running_loop(), then))
        return await asyncio.wrap_future(written)

    def read_now(self, work: Work[T]) -> T:
        """``read`` for threads without an event loop."""
        return self._reader.submit(work).result()

    def write_now(self, work: Work[T]) -> T:
        """``write`` for threads without an event loop."""
        return self._writer.submit(work).result()


def _tell(loop: asyncio.AbstractEventLoop, then: Callable[[T], None], written: Future[T]) -> None:
    if not written.cancelled() and written.exception() is None:
        loop.call_soon_threadsafe(then, written.result())


class _Lane:
    """A connection and the one thread that uses it, which takes up its work in the order it comes."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], pragmas: Sequence[str], *, begin: str) -> None:
        self._connect = connect
        self._pragmas = pragmas
        self._begin = begin
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        await asyncio.wrap_future(self._thread.submit(self._prepare))

    def _prepare(self) -> None:
        with _translated():
            self._connection = self._connect()
            for pragma in self._pragmas:
                self._connection.execute(f"PRAGMA {pragma}")

    def submit(self, work: Work[T]) -> Future[T]:
        try:
            return self._thread.submit(self._transaction, work)
        except RuntimeError as error:
            raise UnavailableError("The database is closed") from error

    def _transaction(self, work: Work[T]) -> T:
        if self._connection is None:
            raise UnavailableError("The database is not open")
        with _translated(), self._connection:  # which commits, or rolls back
            self._connection.execute(self._begin)
            return work(self._connection)

    async def close(self) -> None:
        await asyncio.wrap_future(self._thread.submit(self._disconnect))
        self._thread.shutdown()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if _code(error) not in UNAVAILABLE:
            raise
        raise UnavailableError("The database cannot be used at the moment") from error


def _code(error: Any) -> int:
    """The kind of error, without what SQLite adds to tell its cases apart."""
    return int(error.sqlite_errorcode) & 0xFF
