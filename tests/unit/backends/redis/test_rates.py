from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from limits import parse_many
from redis.asyncio import Redis

from fast_graph.backends.rates import LocalRates, RedisRates
from fast_graph.backends.redis.options import RedisOptions
from tests.services.processes import Server

Make = Callable[[str], RedisRates]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes what one process counts by, for a Redis."""
    async with AsyncExitStack() as stack:

        def making(url: str) -> RedisRates:
            rates = RedisRates(parse_many("3/hour"), RedisOptions(url=url, max_connections=2))
            stack.push_async_callback(rates.aclose)
            return rates

        yield making


async def test_processes_count_together(make: Make, redis_url: str) -> None:
    one, two = make(redis_url), make(redis_url)
    assert [await rates.hit("user me") for rates in (one, two, one)] == [0, 0, 0]
    assert 3500 < await two.hit("user me") <= 3600
    assert await two.hit("user you") == 0


async def test_nothing_is_left_of_a_caller_for_ever(make: Make, redis_url: str) -> None:
    await make(redis_url).hit("user me")
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        [key] = [str(one) for one in await redis.keys()]
        assert key.startswith("fast_graph:rates")
        assert 0 < await redis.ttl(key) <= 3600


async def test_while_redis_is_away_each_counts_alone(make: Make, own_redis: Server) -> None:
    one, two = make(own_redis.url), make(own_redis.url)
    assert await one.hit("user me") == 0
    own_redis.kill()
    assert [await one.hit("user me") for _ in range(3)] == [0, 0, 0]
    assert await one.hit("user me") > 0
    assert await two.hit("user me") == 0
    own_redis.start()
    assert await one.hit("user me") == 0


async def test_the_longest_wait_counts() -> None:
    rates = LocalRates(parse_many("1/second;2/hour"))
    assert await rates.hit("user me") == 0
    await rates.hit("user me")
    assert await rates.hit("user me") > 3000
