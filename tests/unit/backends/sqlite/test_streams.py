"""Streams in a SQLite file: what restarts leave of them, and what they may take of the disk."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from fast_graph.backends.sqlite import streams as streams_module
from fast_graph.backends.sqlite.file import SqliteFile, Work
from fast_graph.backends.sqlite.streams import READ_BYTES, SWEPT, SqliteStreams, StreamBounds
from fast_graph.model.errors import LeaseLostError, StreamTruncatedError
from fast_graph.model.records import Event, Lease, Record
from fast_graph.storage.stream import Reader
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_run
from tests.unit.backends.sqlite.files import rows, with_runs

BOUNDS = StreamBounds(stream_bytes=1000, kept_stream_bytes=1000, stream_ttl=60)
DONE = b'{"done":true}'
PATIENCE = 30.0
T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return with_runs(tmp_path / "fast_graph.db")


@pytest.fixture
def clock() -> OwnedClock:
    return OwnedClock()


@asynccontextmanager
async def opened(path: Path, clock: OwnedClock, bounds: StreamBounds = BOUNDS) -> AsyncIterator[SqliteStreams]:
    """The streams of a process that has just started."""
    async with SqliteFile(path) as file:
        streams = SqliteStreams(file, clock, bounds)
        await streams.setup()
        yield streams


@pytest.fixture
async def streams(path: Path, clock: OwnedClock) -> AsyncIterator[SqliteStreams]:
    async with opened(path, clock) as streams:
        yield streams


def lease_in(path: Path, clock: OwnedClock, *, status: str = "running") -> Lease:
    """A lease of a run that the table of runs knows."""
    run = new_run(clock, "thread")
    with_runs(path, (run.run_id, 1, status))
    return Lease(run=run, worker="worker", token=1, expires_at=clock())


def events(*words: str) -> list[Event]:
    return [Event(word, b'"%s"' % word.encode()) for word in words]


async def says(streams: SqliteStreams, lease: Lease, *words: str) -> None:
    await streams.open(lease)
    await streams.append(lease, events(*words))


async def rest(reader: Reader) -> list[tuple[int, str]]:
    """All that a closed log has to say."""
    found: list[tuple[int, str]] = []
    while (batch := await reader.batch(idle=PATIENCE)) is not None:
        found += [(record.seq, record.name) for record in batch]
    return found


async def kept(streams: SqliteStreams, run_id: str) -> Sequence[Record]:
    async with streams.follow(run_id, after=0) as reader:
        return await reader.batch(idle=0) or ()


# -------------------------------------------------------------------- restarts


async def test_numbering_goes_on_after_a_restart(path: Path, clock: OwnedClock) -> None:
    first = lease_in(path, clock)
    async with opened(path, clock) as streams:
        await says(streams, first, "a", "b")
    second = replace(first, token=2)
    clock.advance(-60)
    async with opened(path, clock) as streams, streams.follow(first.run.run_id, after=1) as reader:
        await says(streams, second, "c")
        with pytest.raises(LeaseLostError):
            await streams.append(first, events("late"))
        await streams.close(first.run.run_id, DONE, keep=False)
        assert await rest(reader) == [(2, "b"), (3, "c")]
        assert await reader.result(idle=PATIENCE) == DONE


async def test_ids_never_fall_over_a_restart(path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock)
    async with opened(path, clock) as streams:
        await says(streams, lease, "a")
    clock.advance(-60)
    async with opened(path, clock) as streams:
        await says(streams, lease, "b")
        first, second = await kept(streams, lease.run.run_id)
        assert second.ms == first.ms


async def test_a_reader_that_was_cut_off_sees_every_later_event_once(path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock)
    async with opened(path, clock) as streams:
        await says(streams, lease, "a", "b", "c")
        async with streams.follow(lease.run.run_id, after=0) as reader:
            batch = await reader.batch(idle=PATIENCE)
            assert batch
            seen = batch[0].seq
    async with opened(path, clock) as streams:
        for word in "de":
            await says(streams, lease, word)
        async with streams.follow(lease.run.run_id, after=seen) as reader:
            await streams.close(lease.run.run_id, DONE, keep=True)
            assert await rest(reader) == [(2, "b"), (3, "c"), (4, "d"), (5, "e")]


async def test_a_kept_log_outlives_a_restart_until_its_time_is_over(path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock, status="success")
    async with opened(path, clock) as streams:
        await says(streams, lease, "a")
        await streams.close(lease.run.run_id, DONE, keep=True)
    clock.advance(BOUNDS.stream_ttl - 1)
    async with opened(path, clock) as streams, streams.follow(lease.run.run_id, after=0) as reader:
        assert await rest(reader) == [(1, "a")]
        assert await reader.result(idle=PATIENCE) == DONE
    clock.advance(2)
    async with opened(path, clock) as streams:
        assert not await kept(streams, lease.run.run_id)


async def test_a_log_that_its_process_could_not_close_is_ended_by_the_next(path: Path, clock: OwnedClock) -> None:
    over, going_on = lease_in(path, clock, status="success"), lease_in(path, clock, status="pending")
    async with opened(path, clock) as streams:
        await says(streams, over, "a")
        await says(streams, going_on, "a")
    async with opened(path, clock) as streams:
        async with streams.follow(over.run.run_id, after=0) as reader:
            assert await rest(reader) == [(1, "a")]
        async with streams.follow(going_on.run.run_id, after=0) as reader:
            assert await reader.batch(idle=PATIENCE)
            assert await reader.batch(idle=0) == ()
        clock.advance(BOUNDS.stream_ttl + 1)
        assert not await kept(streams, over.run.run_id)
        assert await kept(streams, going_on.run.run_id)


@pytest.mark.parametrize("at_a_time", [1, streams_module.SWEPT_BYTES])
async def test_nothing_is_left_of_what_is_over(
    path: Path, clock: OwnedClock, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(streams_module, "SWEPT_BYTES", at_a_time)
    async with opened(path, clock) as streams:
        for number in range(2 * SWEPT + 1):
            lease = lease_in(path, clock, status="success")
            async with streams.follow(lease.run.run_id, after=0):
                await says(streams, lease, "a")
                await streams.close(lease.run.run_id, DONE, keep=bool(number % 2))
    clock.advance(BOUNDS.stream_ttl + 1)
    async with opened(path, clock):
        assert rows(path, "SELECT run_id FROM fast_graph_streams") == []
        assert rows(path, "SELECT run_id FROM fast_graph_stream_batches") == []


# -------------------------------------------------------------------- bounds


async def finished(streams: SqliteStreams, path: Path, clock: OwnedClock, size: int) -> str:
    """A resumable stream of one event that has ended; its run's id."""
    lease = lease_in(path, clock)
    await streams.open(lease)
    await streams.append(lease, [Event("values", b"x" * size)])
    await streams.close(lease.run.run_id, b"null", keep=True)
    return lease.run.run_id


async def test_beyond_the_bound_the_oldest_streams_go(streams: SqliteStreams, path: Path, clock: OwnedClock) -> None:
    ids = [await finished(streams, path, clock, 400) for _ in range(5)]
    assert [bool(await kept(streams, run_id)) for run_id in ids] == [False, False, False, True, True]


async def test_streams_within_the_bound_are_all_kept(streams: SqliteStreams, path: Path, clock: OwnedClock) -> None:
    ids = [await finished(streams, path, clock, 250) for _ in range(4)]
    assert [bool(await kept(streams, run_id)) for run_id in ids] == [True] * 4


async def test_a_bound_of_nothing_keeps_nothing(path: Path, clock: OwnedClock) -> None:
    async with opened(path, clock, StreamBounds(kept_stream_bytes=0)) as streams:
        assert not await kept(streams, await finished(streams, path, clock, 1))


async def test_whoever_reads_a_stream_reads_it_to_the_end(
    streams: SqliteStreams, path: Path, clock: OwnedClock
) -> None:
    run_id = await finished(streams, path, clock, 900)
    async with streams.follow(run_id, after=0) as reader:
        await finished(streams, path, clock, 900)
        assert [record.data for record in await reader.batch(idle=0) or ()] == [b"x" * 900]
        assert await reader.batch(idle=0) is None
    assert not await kept(streams, run_id)


async def test_one_batch_may_be_larger_than_the_bound(streams: SqliteStreams, path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock)
    await says(streams, lease, "before")
    await streams.append(lease, [Event("large", b"x" * 700)] * 3)
    assert [record.seq for record in await kept(streams, lease.run.run_id)] == [2, 3, 4]
    await streams.append(lease, events("after"))
    assert [record.seq for record in await kept(streams, lease.run.run_id)] == [5]


async def test_a_reader_whose_next_event_goes_is_told(streams: SqliteStreams, path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock)
    await says(streams, lease, "a")
    async with streams.follow(lease.run.run_id, after=0) as reader:
        await streams.append(lease, [Event("large", b"x" * 2000)])
        with pytest.raises(StreamTruncatedError, match=f"Event 1 of run {lease.run.run_id}"):
            await reader.batch(idle=PATIENCE)


async def test_a_reader_takes_a_long_log_in_pieces(path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock)
    async with opened(path, clock, StreamBounds()) as streams:
        await streams.open(lease)
        for _ in range(5):
            await streams.append(lease, [Event("x", b"x" * (READ_BYTES // 2))])
        async with streams.follow(lease.run.run_id, after=0) as reader:
            await streams.close(lease.run.run_id, DONE, keep=False)
            sizes = []
            while (batch := await reader.batch(idle=PATIENCE)) is not None:
                sizes.append(len(batch))
    assert sizes == [2, 2, 1]


# -------------------------------------------------------------------- news


class Hesitant(SqliteFile):
    """Once it is told to, it hesitates with every write when it can no longer be stopped."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.released = threading.Event(), threading.Event()
        self.hesitates = False

    async def write(self, work: Work[T], *, then: Callable[[T], None] | None = None) -> T:
        return await super().write(partial(self._hesitate, work) if self.hesitates else work, then=then)

    def _hesitate(self, work: Work[T], connection: sqlite3.Connection) -> T:
        self.begun.set()
        assert self.released.wait(PATIENCE)
        return work(connection)


async def test_an_append_that_was_cancelled_too_late_is_news_all_the_same(path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock)
    async with Hesitant(path) as file:
        streams = SqliteStreams(file, clock, BOUNDS)
        await streams.setup()
        await streams.open(lease)
        async with streams.follow(lease.run.run_id, after=0) as reader:
            file.hesitates = True
            async with asyncio.TaskGroup() as tasks:
                appending = tasks.create_task(streams.append(lease, events("a")))
                assert await asyncio.to_thread(file.begun.wait, PATIENCE)
                appending.cancel()
            assert await reader.batch(idle=0) == ()
            file.released.set()
            assert [record.name for record in await reader.batch(idle=PATIENCE) or ()] == ["a"]


async def test_nothing_is_appended_by_an_empty_batch(streams: SqliteStreams, path: Path, clock: OwnedClock) -> None:
    lease = lease_in(path, clock)
    await says(streams, lease)
    await says(streams, lease, "a")
    assert [record.seq for record in await kept(streams, lease.run.run_id)] == [1]


async def test_a_log_that_nobody_keeps_is_gone_for_those_who_come_late(
    streams: SqliteStreams, path: Path, clock: OwnedClock
) -> None:
    lease = lease_in(path, clock)
    await says(streams, lease, "a")
    await streams.close(lease.run.run_id, DONE, keep=False)
    async with streams.follow(lease.run.run_id, after=0) as reader:
        assert await reader.batch(idle=0) == ()
