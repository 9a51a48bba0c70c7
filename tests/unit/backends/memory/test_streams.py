"""What finished resumable streams may take of the memory, all together."""

import pytest

from fast_graph import Bounds
from fast_graph.backends.memory.streams import MemoryStreams
from fast_graph.model.records import Event, Lease
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_run

BOUNDS = Bounds(kept_stream_bytes=1000, stream_ttl=60)


@pytest.fixture
def clock() -> OwnedClock:
    return OwnedClock()


@pytest.fixture
def streams(clock: OwnedClock) -> MemoryStreams:
    return MemoryStreams(clock, BOUNDS)


async def finished(streams: MemoryStreams, clock: OwnedClock, size: int) -> str:
    """A resumable stream of one event that has ended; its run's id."""
    run = new_run(clock, "thread")
    lease = Lease(run=run, worker="worker", token=1, expires_at=clock())
    await streams.open(lease)
    await streams.append(lease, [Event("values", b"x" * size)])
    await streams.close(run.run_id, b"null", keep=True)
    return run.run_id


async def is_kept(streams: MemoryStreams, run_id: str) -> bool:
    async with streams.follow(run_id, after=0) as reader:
        return bool(await reader.batch(idle=0))


async def test_streams_within_the_bound_are_all_kept(streams: MemoryStreams, clock: OwnedClock) -> None:
    ids = [await finished(streams, clock, 250) for _ in range(4)]
    assert [await is_kept(streams, run_id) for run_id in ids] == [True] * 4


async def test_beyond_the_bound_the_oldest_streams_go(streams: MemoryStreams, clock: OwnedClock) -> None:
    ids = [await finished(streams, clock, 400) for _ in range(5)]
    assert [await is_kept(streams, run_id) for run_id in ids] == [False, False, False, True, True]


async def test_a_stream_beyond_the_bound_by_itself_is_not_kept(streams: MemoryStreams, clock: OwnedClock) -> None:
    assert not await is_kept(streams, await finished(streams, clock, 1001))


async def test_a_bound_of_nothing_keeps_nothing(clock: OwnedClock) -> None:
    streams = MemoryStreams(clock, Bounds(kept_stream_bytes=0))
    assert not await is_kept(streams, await finished(streams, clock, 1))


async def test_whoever_reads_a_stream_reads_it_to_the_end(streams: MemoryStreams, clock: OwnedClock) -> None:
    run_id = await finished(streams, clock, 900)
    async with streams.follow(run_id, after=0) as reader:
        await finished(streams, clock, 900)
        assert [record.data for record in await reader.batch(idle=0) or ()] == [b"x" * 900]
        assert await reader.batch(idle=0) is None
    assert not await is_kept(streams, run_id)


async def test_what_expired_makes_room(streams: MemoryStreams, clock: OwnedClock) -> None:
    early = await finished(streams, clock, 900)
    clock.advance(BOUNDS.stream_ttl + 1)
    assert not await is_kept(streams, early)
    late = await finished(streams, clock, 900)
    assert await is_kept(streams, late)


async def test_a_stream_closed_twice_counts_once(streams: MemoryStreams, clock: OwnedClock) -> None:
    early = await finished(streams, clock, 400)
    late = await finished(streams, clock, 400)
    await streams.close(late, b"null", keep=True)
    assert await is_kept(streams, early)
