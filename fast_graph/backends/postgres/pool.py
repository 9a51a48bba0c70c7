"""The connections that LangGraph's own tables are reached through, and what becomes of a database that is away."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from fast_graph.model.errors import UnavailableError

T = TypeVar("T")
Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

SIZE = 10
CONNECTING = 5.0
"""Seconds until a connection, be it new or one that others have, is given up."""
WORKING = 30.0
"""Seconds until an operation is given up."""
RECONNECTING = 2.0
"""Seconds for which the pool itself tries; afterwards whoever asks makes it try again."""
PATIENCE = 60.0
"""Seconds for which those who insist go on."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0

OPTIONS: Final = {
    "application_name": "fast-graph",
    # Statements are short and always the same: to compile them, or to plan them each time, takes longer than they do.
    "options": "-c jit=off -c plan_cache_mode=force_generic_plan",
    "autocommit": True,
    "prepare_threshold": 0,
    "row_factory": dict_row,
    "connect_timeout": int(CONNECTING),
    # A server whose machine vanished is noticed within seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class Connections:
    """A pool that is opened when entered; it can be made before there is an event loop.

    Whatever is done through ``reach`` and ``insist`` must be safe to be done twice: when the connection breaks, nobody
    knows whether the database had finished.
    """

    def __init__(self, url: str, *, size: int = SIZE, patience: float = PATIENCE) -> None:
        self.pool: Pool = AsyncConnectionPool(
            url,
            kwargs=OPTIONS,
            min_size=min(2, size),
            max_size=size,
            open=False,
            timeout=CONNECTING,
            reconnect_timeout=RECONNECTING,
        )
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drained = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self.pool.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.pool.close()

    async def reach(self, work: Callable[[], Awaitable[T]], *, within: float | None = WORKING) -> T:
        """The result of some work with the pool, within so many seconds. Raises UnavailableError.

        It is done once more if it failed: after a restart of the database the pool is full of broken connections.
        """
        drained = self._drained
        try:
            return await _limited(work, within)
        except PoolTimeout as error:
            raise _unavailable() from error
        except OperationalError as error:
            if _is_lost(error):
                await self._drain(drained)
        try:
            return await _limited(work, within)
        except OperationalError as error:
            raise _unavailable() from error

    async def insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """The same, again and again for a minute: a restart of the database is only a pause."""
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + self._patience, FIRST_PAUSE
        while True:
            try:
                return await self.reach(work)
            except UnavailableError:
                if loop.time() + pause > give_up:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def from_thread(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine, for a node that runs in a thread of its own. Raises RuntimeError elsewhere."""
        if self._loop is None or _running_loop() is self._loop:
            coroutine.close()
            raise RuntimeError("This would block the event loop: use the asynchronous method, or a thread")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _drain(self, drained: int) -> None:
        """Replace all connections, unless that was done since the caller began."""
        if drained == self._drained:
            self._drained += 1
            await self.pool.drain()


async def _limited(work: Callable[[], Awaitable[T]], within: float | None) -> T:
    try:
        async with asyncio.timeout(within) as limit:
            return await work()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise _unavailable() from error


def _is_lost(error: OperationalError) -> bool:
    """Whether the connection broke, rather than the statement being in another one's way."""
    return error.sqlstate is None or error.sqlstate[:2] in ("08", "57")


def _unavailable() -> UnavailableError:
    return UnavailableError("The database cannot be reached at the moment")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
