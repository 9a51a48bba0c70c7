"""Workers that take runs as they are created in their own process."""

import asyncio

import pytest

from fast_graph import MemoryBackend
from fast_graph.backends.memory.backend import MemoryStores
from fast_graph.engine.worker import EAGER
from fast_graph.testing.faults import Latency, LossySignals, faulty
from tests.engine.scripted import Gate, House, chain, house, note, settled, until

pytestmark = pytest.mark.timeout(10)


@pytest.fixture
def stores() -> MemoryStores:
    return MemoryBackend().connect()


@pytest.fixture
async def gate() -> Gate:
    return Gate()


def claims_of(stores: MemoryStores) -> list[str]:
    """The calls of ``claim``, as they will be made."""
    calls: list[str] = []

    async def note_it(call: str) -> None:
        calls.extend([call] * (call == "claim"))

    stores.queue = faulty(stores.queue, Latency(note_it))
    return calls


async def test_a_run_needs_neither_the_queue_nor_the_bell(stores: MemoryStores) -> None:
    claims, signals = claims_of(stores), LossySignals(stores.signals)
    stores.signals = signals  # type: ignore[assignment] # another one of the port
    async with house(chain(a=note("a")), stores=stores) as server:
        await settled()
        claims.clear()
        assert await server.wait() == {"log": ["a"]}
        assert (claims, signals.lost) == ([], [])


async def test_beyond_a_few_runs_whoever_is_free_gets_the_next(stores: MemoryStores, gate: Gate) -> None:
    claims = claims_of(stores)
    async with house(chain(gate=gate), stores=stores) as server:
        await settled()
        claims.clear()
        for number in range(EAGER):
            await server.create(f"thread-{number}")
        await until(lambda: gate.inside == EAGER)
        assert claims == []
        await server.create("one more")
        await until(lambda: gate.inside == EAGER + 1)
        assert claims
        gate.opened.set()


async def test_what_is_being_claimed_counts_as_taken(stores: MemoryStores, gate: Gate) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def dawdle(call: str) -> None:
        if call == "claim":
            asked.set()
            await answered.wait()

    stores.queue = faulty(stores.queue, Latency(dawdle))
    async with house(chain(gate=gate), stores=stores, worker_slots=1) as server:
        await asked.wait()
        runs = [await server.create(f"thread-{number}") for number in range(3)]
        assert [(await server.run(run)).status for run in runs] == ["pending"] * 3
        answered.set()
        gate.opened.set()
        for run in runs:
            assert await server.result(run) == {"log": ["gate"]}
        assert gate.most == 1


async def test_a_worker_that_stops_is_handed_nothing(stores: MemoryStores) -> None:
    async with house(chain(a=note("a")), stores=stores) as server:
        server.runtime.worker.retire()
        run = await server.create()
        await settled()
        assert (await server.run(run)).status == "pending"


async def claimed_by(server: House, stores: MemoryStores) -> str:
    """The id of a run that the worker has a slot for, and a lease, and not more."""
    worker = server.runtime.worker
    assert worker.reserve()
    server.runtime.worker.retire()
    run = await server.create()
    lease = await stores.queue.claim_run(run.run_id, worker.name, lease_for=worker.lease_for)
    assert lease is not None
    worker.take(lease)
    return run.run_id


async def test_a_run_that_was_being_created_when_its_worker_stopped_is_given_back(
    stores: MemoryStores, gate: Gate
) -> None:
    gate.opened.set()
    async with house(chain(gate=gate, b=note("b")), stores=stores) as server:
        run_id = await claimed_by(server, stores)
    run = stores.ledger.runs.get(run_id)
    assert run is not None
    assert (run.status, run.attempt) == ("pending", 0)


async def test_a_run_that_was_still_being_created_when_its_worker_had_ended_is_left_to_others(
    stores: MemoryStores,
) -> None:
    async with house(chain(a=note("a")), stores=stores, drain=0) as server:
        worker = server.runtime.worker
        assert worker.reserve()
    run = await server.create()
    lease = await stores.queue.claim_run(run.run_id, worker.name, lease_for=worker.lease_for)
    assert lease is not None
    worker.take(lease)
    assert not worker.running
    assert (await server.run(run)).status == "running", "until its lease ends"
