"""The promises of the StreamLog port."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from fast_graph.model.errors import LeaseLostError, StreamTruncatedError
from fast_graph.model.records import Event, Lease, Record
from fast_graph.storage.backend import Stores
from fast_graph.storage.stream import Reader
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import LEASE, WORKER, new_id, new_run

SILENCE = 0.01
DONE = b'{"done":true}'


def events(*names: str) -> list[Event]:
    """Events of these names, each saying its own."""
    return [Event(name, b'"%s"' % name.encode()) for name in names]


def named(records: Sequence[Record] | None) -> list[str]:
    """What a batch of records says."""
    return [record.name for record in records or ()]


class StreamLogConformance:
    """Takes the fixtures ``stores`` (open and empty) and ``clock`` (theirs)."""

    patience: ClassVar[float] = 10.0
    """Seconds after which a record that should come counts as lost."""
    log_bytes: ClassVar[int | None] = None
    """How much text of one log the ``stores`` fixture was told to keep: make it small, but at least 1000."""
    log_ttl: ClassVar[float | None] = None
    """Seconds by ``clock`` that a kept log lasts after its end; None if the backend counts by another clock."""

    def lease(self, clock: OwnedClock) -> Lease:
        """A lease of a run that no queue knows: the log asks for no more."""
        run = new_run(clock, new_id())
        return Lease(run=run, worker=WORKER, token=1, expires_at=clock() + LEASE)

    async def opened(self, stores: Stores, clock: OwnedClock, *names: str) -> Lease:
        """An open log that says these."""
        lease = self.lease(clock)
        await stores.streams.open(lease)
        if names:
            await stores.streams.append(lease, events(*names))
        return lease

    async def rest(self, reader: Reader, *, until: int) -> list[Record]:
        """The next records, as many batches as it takes to have ``until`` of them."""
        found: list[Record] = []
        while len(found) < until:
            batch = await reader.batch(idle=self.patience)
            assert batch, f"{until - len(found)} records are missing after {named(found)}"
            found += batch
        return found

    async def replay(self, stores: Stores, lease: Lease, *, until: int, after: int = 0) -> list[Record]:
        """What a new reader gets."""
        async with stores.streams.follow(lease.run.run_id, after=after) as reader:
            return await self.rest(reader, until=until)

    async def test_records_come_in_order_and_numbered_from_one(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a", "b")
        await stores.streams.append(lease, events("c"))
        records = await self.replay(stores, lease, until=3)
        assert [(r.seq, r.name, r.data) for r in records] == [(1, "a", b'"a"'), (2, "b", b'"b"'), (3, "c", b'"c"')]

    async def test_records_are_dated_and_their_ids_never_fall(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a")
        at = int(clock().timestamp() * 1000)
        for seconds in (2, -1):
            clock.advance(seconds)
            await stores.streams.append(lease, events("b"))
        records = await self.replay(stores, lease, until=3)
        assert [(r.ms, r.seq) for r in records] == [(at, 1), (at + 2000, 2), (at + 2000, 3)]

    async def test_a_reader_that_resumes_sees_every_later_event_once(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, *"abcde")
        for after in range(5):
            records = await self.replay(stores, lease, after=after, until=5 - after)
            assert named(records) == list("abcde"[after:])

    async def test_a_reader_of_now_sees_only_what_comes(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a", "b")
        async with stores.streams.follow(lease.run.run_id, after=None) as reader:
            assert await reader.batch(idle=SILENCE) == ()
            await stores.streams.append(lease, events("c"))
            assert named(await reader.batch(idle=self.patience)) == ["c"]

    async def test_a_waiting_reader_gets_what_is_appended(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock)
        waits = asyncio.Event()

        async def read() -> list[str]:
            async with stores.streams.follow(lease.run.run_id, after=0) as reader:
                waits.set()
                return named(await reader.batch(idle=self.patience))

        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read())
            await waits.wait()
            await stores.streams.append(lease, events("a"))
        assert reading.result() == ["a"]

    async def test_what_is_kept_comes_first_then_what_is_appended(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a", "b")
        async with stores.streams.follow(lease.run.run_id, after=0) as reader:
            assert named(await self.rest(reader, until=2)) == ["a", "b"]
            await stores.streams.append(lease, events("c"))
            await stores.streams.append(lease, events("d", "e"))
            assert named(await self.rest(reader, until=3)) == ["c", "d", "e"]

    async def test_every_reader_gets_everything(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a")
        ready = [asyncio.Event() for _ in range(3)]

        async def read(waits: asyncio.Event) -> list[str]:
            async with stores.streams.follow(lease.run.run_id, after=0) as reader:
                first = await self.rest(reader, until=1)
                waits.set()
                return named(first + await self.rest(reader, until=2))

        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(read(waits)) for waits in ready]
            for waits in ready:
                await waits.wait()
            await stores.streams.append(lease, events("b", "c"))
        assert [task.result() for task in reading] == [["a", "b", "c"]] * 3

    async def test_silence_is_an_empty_batch_and_loses_nothing(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a")
        async with stores.streams.follow(lease.run.run_id, after=0) as reader:
            await self.rest(reader, until=1)
            for name in ("b", "c"):
                assert await reader.batch(idle=SILENCE) == ()
                await stores.streams.append(lease, events(name))
                assert named(await self.rest(reader, until=1)) == [name]

    async def test_a_reader_that_gave_up_waiting_does_not_disturb_the_others(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await self.opened(stores, clock)
        waits = asyncio.Event()

        async def read() -> list[str]:
            async with stores.streams.follow(lease.run.run_id, after=0) as reader:
                waits.set()
                return named(await reader.batch(idle=self.patience))

        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read())
            await waits.wait()
            async with stores.streams.follow(lease.run.run_id, after=0) as impatient:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await impatient.batch(idle=self.patience)
            await stores.streams.append(lease, events("a"))
        assert reading.result() == ["a"]

    async def test_logs_do_not_mix(self, stores: Stores, clock: OwnedClock) -> None:
        one = await self.opened(stores, clock, "a")
        two = await self.opened(stores, clock, "b")
        await stores.streams.close(one.run.run_id, DONE, keep=True)
        assert [r.seq for r in await self.replay(stores, two, until=1)] == [1]
        await stores.streams.append(two, events("c"))
        assert named(await self.replay(stores, one, until=1)) == ["a"]

    # ---------------------------------------------------------------- fences

    async def test_numbering_goes_on_where_an_earlier_attempt_ended(self, stores: Stores, clock: OwnedClock) -> None:
        first = await self.opened(stores, clock, "a", "b")
        second = replace(first, token=2)
        await stores.streams.open(second)
        await stores.streams.append(second, events("c"))
        records = await self.replay(stores, first, until=3)
        assert [(r.seq, r.name) for r in records] == [(1, "a"), (2, "b"), (3, "c")]

    async def test_an_older_token_can_append_no_more(self, stores: Stores, clock: OwnedClock) -> None:
        first = await self.opened(stores, clock, "a")
        second = replace(first, token=2)
        await stores.streams.open(second)
        with pytest.raises(LeaseLostError):
            await stores.streams.append(first, events("stale", "stale"))
        await stores.streams.append(second, events("b"))
        assert named(await self.replay(stores, first, until=2)) == ["a", "b"]

    async def test_an_older_token_cannot_open(self, stores: Stores, clock: OwnedClock) -> None:
        second = replace(self.lease(clock), token=2)
        await stores.streams.open(second)
        with pytest.raises(LeaseLostError):
            await stores.streams.open(replace(second, token=1))
        await stores.streams.append(second, events("a"))
        assert named(await self.replay(stores, second, until=1)) == ["a"]

    async def test_a_closed_log_takes_no_more(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a")
        await stores.streams.close(lease.run.run_id, DONE, keep=True)
        with pytest.raises(LeaseLostError):
            await stores.streams.append(lease, events("late"))
        async with stores.streams.follow(lease.run.run_id, after=0) as reader:
            assert named(await reader.batch(idle=self.patience)) == ["a"]
            assert await reader.batch(idle=self.patience) is None

    # ---------------------------------------------------------------- the end

    async def test_a_reader_ends_once_it_has_read_everything(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a")
        async with stores.streams.follow(lease.run.run_id, after=0) as reader:
            await stores.streams.append(lease, events("b"))
            await stores.streams.close(lease.run.run_id, DONE, keep=False)
            assert named(await self.rest(reader, until=2)) == ["a", "b"]
            for _ in range(2):
                assert await reader.batch(idle=self.patience) is None

    async def test_a_waiting_reader_learns_of_the_end(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock)
        waits = asyncio.Event()

        async def read() -> Sequence[Record] | None:
            async with stores.streams.follow(lease.run.run_id, after=0) as reader:
                waits.set()
                return await reader.batch(idle=self.patience)

        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read())
            await waits.wait()
            await stores.streams.close(lease.run.run_id, DONE, keep=False)
        assert reading.result() is None

    async def test_the_result_comes_as_soon_as_the_log_is_closed(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a")
        waits = asyncio.Event()

        async def wait() -> bytes | None:
            async with stores.streams.follow(lease.run.run_id, after=None) as reader:
                assert await reader.result(idle=SILENCE) is None
                waits.set()
                return await reader.result(idle=self.patience)

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(wait())
            await waits.wait()
            await stores.streams.append(lease, events("b"))
            await stores.streams.close(lease.run.run_id, DONE, keep=False)
        assert waiting.result() == DONE

    async def test_only_the_first_close_counts(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a")
        async with stores.streams.follow(lease.run.run_id, after=0) as reader:
            await stores.streams.close(lease.run.run_id, DONE, keep=True)
            await stores.streams.close(lease.run.run_id, b'{"done":"twice"}', keep=False)
            assert await reader.result(idle=self.patience) == DONE
        assert named(await self.replay(stores, lease, until=1)) == ["a"]

    async def test_a_log_that_never_was_can_be_closed(self, stores: Stores, clock: OwnedClock) -> None:
        for keep in (True, False):
            await stores.streams.close(new_id(), DONE, keep=keep)
        lease = await self.opened(stores, clock, "a")
        assert named(await self.replay(stores, lease, until=1)) == ["a"]

    async def test_a_kept_log_can_be_read_again(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.opened(stores, clock, "a", "b")
        await stores.streams.close(lease.run.run_id, DONE, keep=True)
        for after in (0, 1):
            async with stores.streams.follow(lease.run.run_id, after=after) as reader:
                assert named(await self.rest(reader, until=2 - after)) == ["a", "b"][after:]
                assert await reader.batch(idle=self.patience) is None
                assert await reader.result(idle=self.patience) == DONE

    async def test_a_kept_log_is_gone_when_its_time_is_over(self, stores: Stores, clock: OwnedClock) -> None:
        if self.log_ttl is None:
            pytest.skip("this backend counts by another clock")
        lease = await self.opened(stores, clock, "a")
        await stores.streams.close(lease.run.run_id, DONE, keep=True)
        clock.advance(self.log_ttl - 1)
        assert named(await self.replay(stores, lease, until=1)) == ["a"]
        clock.advance(2)
        await self.assert_gone(stores, lease)

    async def assert_gone(self, stores: Stores, lease: Lease) -> None:
        """A new reader gets nothing."""
        async with stores.streams.follow(lease.run.run_id, after=0) as reader:
            assert not await reader.batch(idle=SILENCE)

    async def test_a_log_that_is_not_kept_goes_as_its_last_reader_leaves(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await self.opened(stores, clock, "a")
        async with stores.streams.follow(lease.run.run_id, after=0) as slow:
            async with stores.streams.follow(lease.run.run_id, after=0):
                await stores.streams.close(lease.run.run_id, DONE, keep=False)
            assert named(await self.rest(slow, until=1)) == ["a"]
            assert await slow.result(idle=self.patience) == DONE
        await self.assert_gone(stores, lease)

    async def test_a_log_that_nobody_reads_and_nobody_keeps_goes_at_once(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await self.opened(stores, clock, "a")
        await stores.streams.close(lease.run.run_id, DONE, keep=False)
        await self.assert_gone(stores, lease)

    async def test_a_reader_may_come_before_the_run(self, stores: Stores, clock: OwnedClock) -> None:
        lease = self.lease(clock)
        async with stores.streams.follow(lease.run.run_id, after=0) as reader:
            assert await reader.batch(idle=SILENCE) == ()
            await stores.streams.open(lease)
            await stores.streams.append(lease, events("a", "b"))
            await stores.streams.close(lease.run.run_id, DONE, keep=False)
            assert named(await self.rest(reader, until=2)) == ["a", "b"]
            assert await reader.batch(idle=self.patience) is None
            assert await reader.result(idle=self.patience) == DONE

    async def test_a_log_closed_before_it_was_opened_ends_its_readers(self, stores: Stores, clock: OwnedClock) -> None:
        run_id = new_id()
        async with stores.streams.follow(run_id, after=0) as reader:
            await stores.streams.close(run_id, DONE, keep=False)
            assert await reader.batch(idle=self.patience) is None
            assert await reader.result(idle=self.patience) == DONE

    # ---------------------------------------------------------------- bounds

    async def flood(self, stores: Stores, clock: OwnedClock) -> Lease:
        """A log to which twice as much was appended as fits, in twenty events."""
        lease = await self.opened(stores, clock)
        for _ in range(20):
            await stores.streams.append(lease, [self.large()])
        return lease

    def large(self) -> Event:
        """An event of which ten fill a log."""
        if self.log_bytes is None:
            pytest.skip("this backend has no bound")
        return Event("x", b'"' + b"x" * (self.log_bytes // 10) + b'"')

    async def test_the_oldest_events_of_a_full_log_go(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.flood(stores, clock)
        assert [r.seq for r in await self.replay(stores, lease, after=18, until=2)] == [19, 20]
        with pytest.raises(StreamTruncatedError):
            await self.replay(stores, lease, after=1, until=20)

    async def test_a_full_log_is_replayed_from_the_first_event_that_is_kept(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await self.flood(stores, clock)
        kept = [r.seq for r in await self.replay(stores, lease, until=1)]
        assert kept == list(range(kept[0], 21))
        assert kept[0] > 1

    async def test_a_reader_that_kept_up_notices_nothing(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await self.flood(stores, clock)
        async with stores.streams.follow(lease.run.run_id, after=None) as reader:
            for seq in range(21, 41):
                await stores.streams.append(lease, [self.large()])
                assert [r.seq for r in await self.rest(reader, until=1)] == [seq]
