"""Workers that are lost, late or stopped, and what the next one makes of their runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext

import orjson
import pytest

from fast_graph import MemoryBackend
from fast_graph.backends.memory.backend import MemoryStores
from fast_graph.backends.memory.queue import MemoryQueue
from fast_graph.model.records import Run
from fast_graph.storage.queue import Claimant
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.faults import Crash, LossySignals, faulty
from tests.engine.scripted import (
    NEVER,
    Count,
    Gate,
    House,
    chain,
    house,
    note,
    records,
    settled,
    told,
    until,
    values_of,
)

pytestmark = pytest.mark.timeout(10)

SOON = 0.01
"""Seconds: a heartbeat that a test does not mind waiting for."""


@pytest.fixture
def clock() -> OwnedClock:
    return OwnedClock()


@pytest.fixture
def stores(clock: OwnedClock) -> MemoryStores:
    return MemoryBackend(clock=clock).connect()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """Open by the end of the test, so that whoever waits at it can go."""
    gate = Gate("first worker")
    yield gate
    gate.opened.set()


async def lost(server: House, run: Run, clock: OwnedClock) -> None:
    """The lease runs out, and the run is pending again."""
    clock.advance(3 * NEVER)
    await server.stores.queue.reap(max_attempts=3)
    assert (await server.run(run)).status == "pending"


async def test_a_run_whose_lease_is_lost_writes_nothing_more(
    stores: MemoryStores, clock: OwnedClock, gate: Gate
) -> None:
    async with house(chain(a=note("a"), b=gate), stores=stores, worker_slots=1) as first:
        run = await first.create(stream_resumable=True)
        await gate.reached.wait()
        await lost(first, run, clock)
        async with house(chain(a=note("a"), b=note("second worker")), stores=stores) as second:
            await second.ring()
            assert await second.result(run) == {"log": ["a", "second worker"]}
            told_before = await records(await second.join(run, after=0))
            await first.ring(run)
            await first.ended(run)
            gate.opened.set()
            await settled()
            assert await second.log() == ["a", "second worker"]
            assert (await second.run(run)).status == "success"
            assert (await second.thread()).status == "idle"
            assert await records(await second.join(run, after=0)) == told_before


async def test_a_worker_that_does_not_know_it_lost_a_run_is_stopped_by_the_log(
    stores: MemoryStores, clock: OwnedClock, gate: Gate
) -> None:
    other = Gate("second worker")
    async with house(chain(a=note("a"), b=gate), stores=stores, worker_slots=1) as first:
        run = await first.create(stream_resumable=True)
        await gate.reached.wait()
        await lost(first, run, clock)
        async with house(chain(a=note("a"), b=other), stores=stores) as second:
            feed = await second.join(run, after=0)
            await second.ring()
            await other.reached.wait()
            gate.opened.set()
            await first.ended(run)
            assert (await second.run(run)).status == "running"
            other.opened.set()
            assert values_of(await records(feed))[-1] == ["a", "second worker"]


async def test_a_run_that_is_taken_up_again_goes_on_from_its_checkpoint(
    stores: MemoryStores, clock: OwnedClock, gate: Gate
) -> None:
    before = Count("a")
    async with house(chain(a=before, b=gate), stores=stores, worker_slots=1) as first:
        run = await first.create(stream_resumable=True)
        await gate.reached.wait()
        await lost(first, run, clock)
        async with house(chain(a=before, b=note("b")), stores=stores) as second:
            await second.ring()
            assert await second.result(run) == {"log": ["a", "b"]}
            assert before.entered == 1
            found = await records(await second.join(run, after=0))
        attempts = [orjson.loads(record.data)["attempt"] for record in found if record.name == "metadata"]
        assert attempts == [1, 2]
        assert [record.seq for record in found] == list(range(1, len(found) + 1))
        assert (await second.run(run)).attempt == 2
        gate.opened.set()


async def test_a_run_that_got_nowhere_starts_again_from_its_input(
    stores: MemoryStores, clock: OwnedClock, gate: Gate
) -> None:
    async with house(chain(a=gate), stores=stores, worker_slots=1) as first:
        run = await first.create(input={"log": ["given"]}, durability="exit")
        await gate.reached.wait()
        await lost(first, run, clock)
        async with house(chain(a=note("a")), stores=stores) as second:
            await second.ring()
            assert await second.result(run) == {"log": ["given", "a"]}
            gate.opened.set()


async def test_a_run_that_goes_on_from_its_checkpoint_does_so_whatever_its_metadata_says(
    stores: MemoryStores, clock: OwnedClock, gate: Gate
) -> None:
    before = Count("a")
    async with house(chain(a=before, b=gate), stores=stores, worker_slots=1) as first:
        run = await first.create(metadata={"run_id": "mine"})
        await gate.reached.wait()
        await lost(first, run, clock)
        async with house(chain(a=before, b=note("b")), stores=stores) as second:
            await second.ring()
            assert await second.result(run) == {"log": ["a", "b"]}
        gate.opened.set()
    assert before.entered == 1


@pytest.mark.parametrize("thread_id", ["thread", None])
async def test_a_run_that_lost_its_worker_too_often_ends_and_its_readers_are_told(
    stores: MemoryStores, clock: OwnedClock, thread_id: str | None
) -> None:
    stores.streams = faulty(stores.streams, Crash(at="append"))
    async with house(chain(a=note("a")), stores=stores, heartbeat=SOON, max_attempts=1) as server:
        async with await server.start(thread_id) as feed:
            await until(lambda: server.runtime.worker.running)
            await server.ended(feed.run)
            clock.advance(3 * NEVER)
            assert (await told(feed))["__error__"]["error"] == "AttemptsExhausted"
        if thread_id is None:
            assert server.left() == {}
        else:
            assert (await server.run(feed.run)).status == "error"
            assert (await server.thread()).status == "error"


class Distant(MemoryQueue):
    """Hands nothing over, as to a worker in another process."""

    def stand_by(self, claimant: Claimant) -> AbstractContextManager[None]:
        return nullcontext()


async def test_a_lost_doorbell_costs_no_more_than_a_poll(stores: MemoryStores) -> None:
    signals = LossySignals(stores.signals)
    stores.signals = signals  # type: ignore[assignment] # another one of the port
    stores.queue = Distant(stores.ledger)
    async with house(chain(a=note("a")), stores=stores, poll=SOON) as server:
        assert await server.wait() == {"log": ["a"]}
        assert signals.lost


async def test_a_lost_cancellation_costs_no_more_than_a_heartbeat(stores: MemoryStores, gate: Gate) -> None:
    stores.signals = LossySignals(stores.signals)  # type: ignore[assignment] # another one of the port
    timers = {"poll": SOON, "heartbeat": SOON}
    async with house(chain(a=gate), stores=stores, **timers) as server, await server.start() as feed:
        await gate.reached.wait()
        await server.cancel(feed.run)
        assert await told(feed) == {}


async def test_a_lost_end_costs_a_reader_no_more_than_a_poll(stores: MemoryStores) -> None:
    stores.streams = faulty(stores.streams, Crash(at="close", times=99))
    async with house(chain(a=note("a")), stores=stores, poll=SOON) as server, await server.start() as feed:
        assert values_of([record async for batch in feed.batches() for record in batch]) == [[], ["a"]]
        assert await feed.result(patience=SOON) == b'{"log":["a"]}'


@pytest.mark.parametrize("call", ["open", "append"])
async def test_a_run_whose_stream_fails_is_taken_up_again(stores: MemoryStores, clock: OwnedClock, call: str) -> None:
    stores.streams = faulty(stores.streams, Crash(at=call))
    async with house(chain(a=note("a")), stores=stores, heartbeat=SOON) as server:
        run = await server.create()
        await until(lambda: server.runtime.worker.running)
        await server.ended(run)
        clock.advance(3 * NEVER)
        assert await server.result(run) == {"log": ["a"]}
        assert (await server.run(run)).attempt == 2


async def test_a_run_whose_end_could_not_be_written_ends_the_next_time(stores: MemoryStores, clock: OwnedClock) -> None:
    stores.queue = faulty(stores.queue, Crash(at="finish"))
    node = Count("a")
    async with house(chain(a=node), stores=stores, heartbeat=SOON) as server:
        run = await server.create()
        await until(lambda: server.runtime.worker.running)
        await server.ended(run)
        clock.advance(3 * NEVER)
        assert await server.result(run) == {"log": ["a"]}
    assert node.entered == 1


@pytest.mark.parametrize("call", ["claim", "next_due", "renew", "reap"])
async def test_a_worker_outlives_a_queue_that_fails(stores: MemoryStores, call: str) -> None:
    stores.queue = faulty(stores.queue, Crash(at=call))
    async with house(chain(a=note("a")), stores=stores, poll=SOON, heartbeat=SOON) as server:
        assert await server.wait() == {"log": ["a"]}


async def test_stopping_lets_the_superstep_finish_and_hands_the_run_over(stores: MemoryStores, gate: Gate) -> None:
    first_node, last_node = Count("a"), Count("c")
    graph = chain(a=first_node, b=gate, c=last_node)
    async with asyncio.TaskGroup() as group, house(graph, stores=stores) as first:
        run = await first.create()
        await gate.reached.wait()
        group.create_task(opened_as_it_drains(first, run, gate))
    assert (await first.run(run)).status == "pending"
    assert (await first.run(run)).attempt == 0
    assert last_node.entered == 0
    async with house(graph, stores=stores) as second:
        assert await second.result(run) == {"log": ["a", "first worker", "c"]}
        assert (await second.run(run)).attempt == 1
    assert (first_node.entered, gate.entered, last_node.entered) == (1, 1, 1)


async def opened_as_it_drains(server: House, run: Run, gate: Gate) -> None:
    await settled()
    assert (await server.run(run)).status == "running"
    gate.opened.set()


async def test_stopping_without_patience_hands_over_a_run_that_is_in_the_middle_of_a_node(
    stores: MemoryStores, gate: Gate
) -> None:
    node = Count("a")
    async with house(chain(a=node, b=gate), stores=stores, drain=0) as first:
        run = await first.create()
        await gate.reached.wait()
    assert (await first.run(run)).status == "pending"
    assert (await first.run(run)).attempt == 0
    gate.opened.set()
    async with house(chain(a=node, b=gate), stores=stores) as second:
        assert await second.result(run) == {"log": ["a", "first worker"]}
    assert (node.entered, gate.entered) == (1, 2)


async def test_stopping_claims_nothing_more(stores: MemoryStores, gate: Gate) -> None:
    async with asyncio.TaskGroup() as group, house(chain(a=gate, b=note("b")), stores=stores) as server:
        await server.create("one")
        await gate.reached.wait()
        waiting = await server.create("one")
        group.create_task(opened_as_it_drains(server, (await server.runs("one"))[0], gate))
    assert gate.entered == 1
    assert (await server.run(waiting)).status == "pending"


async def test_a_run_that_is_claimed_as_the_worker_stops_is_handed_over(stores: MemoryStores, gate: Gate) -> None:
    claiming, claimed = asyncio.Event(), asyncio.Event()

    class Slow:
        """The answer to a claim takes its time."""

        async def before(self, call: str) -> None:
            """Nothing."""

        async def after(self, call: str) -> None:
            """Wait, once there is something to claim."""
            if call == "claim" and stores.ledger.claims:
                claiming.set()
                await claimed.wait()

    stores.queue = faulty(stores.queue, Slow())
    async with asyncio.TaskGroup() as group, house(chain(a=gate), stores=stores) as server:
        run = await server.create()
        await claiming.wait()
        group.create_task(let(claimed))
    assert (await server.run(run)).status == "pending"
    assert gate.entered == 0


async def let(event: asyncio.Event) -> None:
    await settled()
    event.set()


async def test_a_run_that_ends_while_the_worker_stops_has_ended(stores: MemoryStores, gate: Gate) -> None:
    async with asyncio.TaskGroup() as group, house(chain(a=gate), stores=stores) as server:
        run = await server.create()
        await gate.reached.wait()
        group.create_task(opened_as_it_drains(server, run, gate))
    assert (await server.run(run)).status == "success"


async def test_a_run_that_stops_at_a_breakpoint_while_the_worker_stops_does_not_walk_past_it(
    stores: MemoryStores, gate: Gate
) -> None:
    guarded = Count("guarded")
    graph = chain(a=gate, guarded=guarded)
    async with asyncio.TaskGroup() as group, house(graph, stores=stores) as first:
        run = await first.create(interrupt_before=["guarded"])
        await gate.reached.wait()
        group.create_task(opened_as_it_drains(first, run, gate))
    async with house(graph, stores=stores) as second:
        await second.result(run)
        assert (await second.thread()).status == "interrupted"
        assert (await second.run(run)).status == "success"
    assert guarded.entered == 0


async def test_a_run_that_fails_while_the_worker_stops_has_failed(stores: MemoryStores, gate: Gate) -> None:
    async def fail(state: object) -> None:
        await gate.opened.wait()
        raise ValueError("no")

    async with asyncio.TaskGroup() as group, house(chain(a=fail), stores=stores) as server:
        run = await server.create()
        await settled()
        group.create_task(opened_as_it_drains(server, run, gate))
    assert (await server.run(run)).status == "error"
