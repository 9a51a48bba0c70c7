"""How often callers come, counted by the library ``limits``: in this process, or together with others in Redis."""

import asyncio
import logging
import time
from collections.abc import Sequence

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from fast_graph.backends.redis.options import RedisOptions

PATIENCE = 1.0
"""Seconds that Redis may take before this process counts alone."""

log = logging.getLogger("fast_graph.backends")

AWAY = (RedisError, OSError)
"""What a Redis that cannot be reached leads to; a ``TimeoutError`` is an OSError."""


class LocalRates:
    """The Rates port, for one process. A window begins with the first request in it."""

    def __init__(self, rates: Sequence[RateLimitItem]) -> None:
        self._rates = rates
        self._windows = FixedWindowRateLimiter(MemoryStorage())

    async def hit(self, key: str) -> float:
        return await _hit(self._windows, self._rates, key)

    async def aclose(self) -> None:
        """Nothing to give up."""


class RedisRates:
    """The Rates port, for all processes that share a Redis."""

    def __init__(self, rates: Sequence[RateLimitItem], options: RedisOptions) -> None:
        self._rates = rates
        self._pool = options.pool()
        # Whoever finds no connection free has to wait: the pool would refuse them.
        self._connections = asyncio.Semaphore(options.max_connections)
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=f"{options.key_prefix}:rates",
            connection_pool=self._pool,  # type: ignore[arg-type] # the library passes it on
        )
        self._windows = FixedWindowRateLimiter(storage)
        self._alone = LocalRates(rates)

    async def hit(self, key: str) -> float:
        try:
            async with asyncio.timeout(PATIENCE), self._connections:
                return await _hit(self._windows, self._rates, key)
        except AWAY:
            log.warning("rates counted alone: Redis cannot be reached")
            return await self._alone.hit(key)

    async def aclose(self) -> None:
        """Give the connections up."""
        await self._pool.aclose()


async def _hit(windows: FixedWindowRateLimiter, rates: Sequence[RateLimitItem], key: str) -> float:
    """The longest of the windows that are full already. A request that is refused counts all the same."""
    full = [rate for rate in rates if not await windows.hit(rate, key)]
    ends = [(await windows.get_window_stats(rate, key)).reset_time for rate in full]
    return max([0.0, *(max(end - time.time(), 0.001) for end in ends)])
