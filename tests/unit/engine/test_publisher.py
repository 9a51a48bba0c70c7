import asyncio
from collections.abc import Sequence

import pytest

from fast_graph.engine.publisher import MOST_BYTES, Publisher
from fast_graph.model.errors import LeaseLostError
from fast_graph.model.records import Event, Lease
from fast_graph.storage.stream import StreamLog
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_run

pytestmark = pytest.mark.timeout(10)


class Log:
    """A log whose appends wait until the test lets them, and fail if it wants so."""

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.asked = asyncio.Event()
        self.opened = asyncio.Event()
        self.opened.set()
        self.error: Exception | None = None

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        self.asked.set()
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        self.batches.append(list(events))

    @property
    def names(self) -> list[str]:
        return [event.name for batch in self.batches for event in batch]


@pytest.fixture
async def log() -> Log:
    return Log()


@pytest.fixture
def publisher(log: Log) -> Publisher:
    clock = OwnedClock()
    lease = Lease(run=new_run(clock, "thread"), worker="worker", token=1, expires_at=clock())
    stream: StreamLog = log  # type: ignore[assignment] # as much of one as a publisher uses
    return Publisher(stream, lease)


def event(name: object, size: int = 0) -> Event:
    return Event(str(name), b"x" * size)


async def test_events_arrive_in_order_and_none_is_lost(publisher: Publisher, log: Log) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        for number in range(1000):
            await publisher.put(event(number))
            if number % 100 == 0:
                await asyncio.sleep(0)
        publisher.close()
    assert log.names == [str(number) for number in range(1000)]


async def test_what_is_put_without_a_pause_goes_in_one_batch(publisher: Publisher, log: Log) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        for number in range(100):
            await publisher.put(event(number))
        publisher.close()
    assert len(log.batches) == 1


async def test_the_first_event_does_not_wait_for_a_second(publisher: Publisher, log: Log) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        await publisher.put(event("first"))
        await log.asked.wait()
        assert log.names == ["first"]
        publisher.close()


async def test_what_comes_while_a_batch_is_written_goes_in_the_next(publisher: Publisher, log: Log) -> None:
    log.opened.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        await publisher.put(event("first"))
        await log.asked.wait()
        for name in ("second", "third"):
            await publisher.put(event(name))
        log.opened.set()
        publisher.close()
    assert [len(batch) for batch in log.batches] == [1, 2]


async def test_closing_without_events_writes_nothing(publisher: Publisher, log: Log) -> None:
    publisher.close()
    await publisher.run()
    assert log.batches == []


async def test_what_was_put_before_the_task_began_is_written(publisher: Publisher, log: Log) -> None:
    await publisher.put(event("early"))
    publisher.close()
    await publisher.run()
    assert log.names == ["early"]


async def test_too_much_makes_the_graph_wait_until_it_is_written(publisher: Publisher, log: Log) -> None:
    log.opened.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        await publisher.put(event("first"))
        await log.asked.wait()
        putting = group.create_task(publisher.put(event("large", MOST_BYTES + 1)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not putting.done()
        log.opened.set()
        await putting
        publisher.close()
    assert log.names == ["first", "large"]


async def test_no_more_waits_than_the_bound_and_one_event(publisher: Publisher, log: Log) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        for number in range(20):
            await publisher.put(event(number, MOST_BYTES // 3))
        publisher.close()
    assert log.names == [str(number) for number in range(20)]
    assert all(sum(len(one.data) for one in batch) <= MOST_BYTES * 4 / 3 for batch in log.batches)


async def test_a_log_that_fails_is_reported(publisher: Publisher, log: Log) -> None:
    log.error = LeaseLostError("no")
    await publisher.put(event("first"))
    with pytest.raises(LeaseLostError):
        await publisher.run()


async def test_nobody_waits_for_a_log_that_failed(publisher: Publisher, log: Log) -> None:
    log.error = LeaseLostError("no")
    log.opened.clear()
    running = asyncio.gather(publisher.run(), return_exceptions=True)
    await publisher.put(event("first"))
    await log.asked.wait()
    putting = asyncio.gather(*(publisher.put(event(number, MOST_BYTES)) for number in range(3)))
    log.opened.set()
    assert isinstance((await running)[0], LeaseLostError)
    await putting
    await publisher.put(event("late", 2 * MOST_BYTES))


async def test_nobody_waits_for_a_publisher_that_was_cancelled(publisher: Publisher, log: Log) -> None:
    log.opened.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(publisher.run())
        await publisher.put(event("first"))
        await log.asked.wait()
        putting = group.create_task(publisher.put(event("large", 2 * MOST_BYTES)))
        await asyncio.sleep(0)
        running.cancel()
        await putting
