"""Whoever holds a run no more can change nothing, and a later word of the client counts."""

import asyncio
from typing import Any

import pytest

from fast_graph import Bounds, MemoryBackend
from fast_graph.auth.policy import ANONYMOUS
from fast_graph.model.errors import CapacityError, NotFoundError
from fast_graph.services.runs import RunRequest
from fast_graph.testing.faults import Latency, faulty
from tests.engine.scripted import Count, Gate, State, Stubborn, chain, house, note, settled

pytestmark = pytest.mark.timeout(10)


class Undead(Gate):
    """A node that is cancelled, finishes all the same, and tells when."""

    def __init__(self) -> None:
        super().__init__("undead")
        self.cancelled = asyncio.Event()

    async def __call__(self, state: State) -> State:
        self.reached.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            await self.opened.wait()
        return {"log": [self.name]}


async def test_a_run_that_was_deleted_writes_no_checkpoint_over_the_next_one() -> None:
    undead = Undead()
    graphs = {"undead": chain(undead=undead), "graph": chain(a=note("a"))}
    async with house(graphs, poll=0.05) as server:
        run = await server.create(graph="undead")
        await undead.reached.wait()
        await server.runtime.runs.delete(ANONYMOUS, run.thread_id, run.run_id)
        assert await server.wait() == {"log": ["a"]}
        undead.opened.set()
        await server.ended(run)
        assert await server.log() == ["a"]


async def test_a_thread_made_anew_does_not_show_what_a_run_of_the_old_one_wrote() -> None:
    undead = Undead()
    async with house({"graph": chain(undead=undead)}, poll=0.05) as server:
        run = await server.create()
        await undead.reached.wait()
        await server.runtime.threads.delete(ANONYMOUS, "thread")
        await server.runtime.threads.create(
            ANONYMOUS, thread_id="thread", metadata={"graph_id": "graph"}, if_exists="raise", supersteps=()
        )
        undead.opened.set()
        await server.ended(run)
        assert await server.log() == []


async def test_a_rollback_asked_for_after_an_interrupt_is_done() -> None:
    stubborn = Stubborn()
    async with house(chain(a=note("a"), stubborn=stubborn)) as server:
        run = await server.create()
        await stubborn.reached.wait()
        await server.cancel(run, "interrupt")
        await stubborn.cancelled.wait()
        await server.cancel(run, "rollback")
        stubborn.opened.set()
        assert await server.result(run) == {}
        with pytest.raises(NotFoundError):
            await server.run(run)
        assert await server.log() == []


async def test_a_drain_that_comes_after_the_graph_has_ended_hands_nothing_over() -> None:
    after, asked, released = Count("after"), asyncio.Event(), asyncio.Event()

    async def hold_appends(call: str) -> None:
        if call == "append":
            asked.set()
            await released.wait()

    stores = MemoryBackend().connect()
    stores.streams = faulty(stores.streams, Latency(hold_appends))
    async with house(chain(a=note("a"), after=after), stores=stores) as server:
        run = await server.create(interrupt_before=["after"])
        await asked.wait()
        await settled()
        server.runtime.worker.running[run.run_id].drain("shutdown")
        released.set()
        await server.ended(run)
        assert (await server.run(run)).status == "success"
        assert after.entered == 0


async def test_a_batch_is_admitted_as_a_whole_or_not_at_all() -> None:
    gate = Gate()
    stores = MemoryBackend(bounds=Bounds(pending_runs=2)).connect()
    async with house({"graph": chain(gate=gate)}, stores=stores, worker_slots=1) as server:
        blocker = await server.create()
        await gate.reached.wait()
        with pytest.raises(CapacityError):
            await server.runtime.runs.create_batch(ANONYMOUS, [RunRequest(assistant_id="graph")] * 5)
        inflight: Any = await server.stores.runs.inflight(thread_id=None, scope={})
        assert [run.run_id for run in inflight] == [blocker.run_id]
        gate.opened.set()
        await server.result(blocker)
