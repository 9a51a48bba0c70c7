"""Everything here runs with timers of an hour: what proceeds was woken by the event itself."""

import asyncio
from contextlib import suppress

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph_sdk.runtime import ServerRuntime

from fast_graph import MemoryBackend
from fast_graph.auth.policy import ANONYMOUS
from fast_graph.model.clock import system_clock
from fast_graph.model.errors import RefusedError
from fast_graph.testing.faults import Latency, faulty
from tests.engine.scripted import (
    Gate,
    State,
    Stubborn,
    ThreadGate,
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


async def test_a_created_run_starts_at_once() -> None:
    gate = Gate()
    async with house(chain(gate=gate)) as server:
        run = await server.create()
        await gate.reached.wait()
        assert (await server.run(run)).status == "running"
        assert (await server.thread()).status == "busy"
        gate.opened.set()


async def test_a_waiting_client_is_told_as_the_run_ends() -> None:
    async with house(chain(a=note("a"))) as server:
        assert await server.wait() == {"log": ["a"]}


async def test_a_stateless_waiting_client_is_told_as_the_run_ends() -> None:
    async with house(chain(a=note("a"))) as server:
        assert await server.wait(None) == {"log": ["a"]}


async def test_clients_who_join_at_any_time_see_the_end_at_once() -> None:
    gate = Gate()
    async with house(chain(gate=gate)) as server:
        run = await server.create(stream_resumable=True)
        early = await server.join(run, after=0)
        await gate.reached.wait()
        midway = [await server.join(run, after=0) for _ in range(3)]
        gate.opened.set()
        first, *others = [await records(feed) for feed in (early, *midway)]
        assert values_of(first) == [[], ["gate"]]
        assert all(found == first for found in others)
        assert await records(await server.join(run, after=0)) == first
        assert await server.result(run) == {"log": ["gate"]}


async def test_a_client_who_joins_a_finished_run_is_not_kept_waiting() -> None:
    async with house(chain(a=note("a"))) as server:
        run = await server.create()
        await server.result(run)
        assert await records(await server.join(run)) == []


async def test_events_reach_a_reader_while_the_run_goes_on() -> None:
    gate = Gate()
    async with house(chain(a=note("a"), gate=gate)) as server:
        async with await server.start() as feed:
            seen: list[list[str]] = []
            async for batch in feed.batches():
                seen += values_of(batch)
                if seen[-1:] == [["a"]]:
                    gate.opened.set()
        assert seen == [[], ["a"], ["a", "gate"]]


async def test_runs_on_one_thread_follow_each_other_at_once() -> None:
    gate = Gate()
    async with house(chain(gate=gate)) as server:
        first, *later = [await server.create() for _ in range(5)]
        await gate.reached.wait()
        assert [(await server.run(run)).status for run in later] == ["pending"] * 4
        gate.opened.set()
        assert await server.result(later[-1]) == {"log": ["gate"] * 5}
        assert gate.most == 1
        assert await server.result(first) == {"log": ["gate"] * 5}


async def test_a_freed_slot_is_taken_at_once_and_in_order() -> None:
    gate, order = Gate(), list[str]()

    async def noting(state: State, config: RunnableConfig) -> State:
        order.append(config["configurable"]["thread_id"])
        return {"log": []}

    async with house({"gate": chain(gate=gate), "graph": chain(noting=noting)}, worker_slots=1) as server:
        blocking = await server.create("blocking", "gate")
        await gate.reached.wait()
        waiting = [await server.create(f"thread-{index}") for index in range(10)]
        gate.opened.set()
        for run in (blocking, *waiting):
            await server.result(run)
        assert order == [run.thread_id for run in waiting]


async def test_no_more_runs_than_slots_go_on_at_a_time() -> None:
    gate = Gate()
    async with house(chain(gate=gate), worker_slots=3) as server:
        runs = [await server.create(f"thread-{index}") for index in range(10)]
        await until(lambda: gate.inside == 3)
        await server.ring()
        await settled()
        assert len(server.runtime.worker.running) == 3
        gate.opened.set()
        for run in runs:
            await server.result(run)
        assert gate.most == 3
        assert gate.entered == 10


async def test_a_cancelled_run_ends_at_once() -> None:
    gate = Gate()
    async with house(chain(gate=gate)) as server:
        async with await server.start() as feed:
            await gate.reached.wait()
            await server.cancel(feed.run)
            assert await told(feed) == {}
        assert (await server.run(feed.run)).status == "interrupted"
        assert (await server.thread()).status == "interrupted"


async def test_a_cancelled_pending_run_ends_at_once() -> None:
    gate = Gate()
    async with house(chain(gate=gate)) as server:
        await server.create()
        await gate.reached.wait()
        async with await server.start() as feed:
            await server.cancel(feed.run)
            assert await told(feed) == {}
            assert await records(feed) == []
        assert (await server.run(feed.run)).status == "interrupted"
        gate.opened.set()


async def test_a_deleted_thread_is_gone_at_once() -> None:
    gate = Gate()
    async with house(chain(gate=gate)) as server, await server.start() as feed:
        await gate.reached.wait()
        await server.runtime.threads.delete(ANONYMOUS, "thread")
        assert await told(feed) == {}


async def test_a_delayed_run_starts_when_it_is_due() -> None:
    async with house(chain(a=note("a"))) as server:
        assert await server.wait(after_seconds=0.05) == {"log": ["a"]}


async def test_a_delayed_run_that_finds_no_slot_waits_for_one_and_keeps_nobody_busy() -> None:
    gate, asked = Gate(), list[str]()

    async def count(call: str) -> None:
        asked.append(call)

    stores = MemoryBackend().connect()
    stores.queue = faulty(stores.queue, Latency(count))
    async with house({"gate": chain(gate=gate), "graph": chain(a=note("a"))}, stores=stores, worker_slots=1) as server:
        await server.create("blocking", "gate")
        await gate.reached.wait()
        run = await server.create(after_seconds=0.01)
        await until(lambda: run.due_at is not None and system_clock() > run.due_at)
        await settled()
        asked.clear()
        await settled()
        assert asked == []
        gate.opened.set()
        assert await server.result(run) == {"log": ["a"]}


@pytest.mark.parametrize("node", ["a", "nowhere"])
async def test_a_run_created_during_a_state_edit_starts_as_the_edit_ends(node: str) -> None:
    editing, edited = asyncio.Event(), asyncio.Event()

    async def make(runtime: ServerRuntime[None]) -> StateGraph[State]:
        if runtime.access_context == "threads.update":
            editing.set()
            await edited.wait()
        return chain(a=note("a"))

    async def edit() -> None:
        with suppress(RefusedError):
            await server.runtime.states.update(
                ANONYMOUS, "thread", values={"log": ["edit"]}, as_node=node, checkpoint=None
            )

    async with house(make) as server, asyncio.TaskGroup() as group:
        await server.wait()
        group.create_task(edit())
        await editing.wait()
        run = await server.create()
        await settled()
        assert (await server.run(run)).status == "pending"
        edited.set()
        assert await server.result(run) == {"log": ["a", "edit", "a"] if node == "a" else ["a", "a"]}


async def test_a_node_that_is_a_plain_function_holds_up_no_other_run() -> None:
    gate = ThreadGate()
    async with house({"blocked": chain(gate=gate), "graph": chain(a=note("a"))}) as server:
        blocked = await server.create("blocked", "blocked")
        await gate.reached.wait()
        assert await server.wait() == {"log": ["a"]}
        gate.opened.set()
        assert await server.result(blocked) == {"log": ["thread"]}


async def test_plain_functions_run_beside_each_other() -> None:
    gates = [ThreadGate() for _ in range(8)]
    graphs = {f"graph-{index}": chain(gate=gate) for index, gate in enumerate(gates)}
    async with house(graphs, sync_threads=8) as server:
        runs = [await server.create(name, name) for name in graphs]
        for gate in gates:
            await gate.reached.wait()
        for gate in gates:
            gate.opened.set()
        for run in runs:
            assert await server.result(run) == {"log": ["thread"]}


async def test_a_run_that_ignores_its_cancellation_does_not_run_another_node() -> None:
    stubborn, after = Stubborn(), Gate("after")
    async with house(chain(stubborn=stubborn, after=after)) as server:
        async with await server.start() as feed:
            await stubborn.reached.wait()
            await server.cancel(feed.run)
            await stubborn.cancelled.wait()
            stubborn.opened.set()
            assert await told(feed) == {}
        assert after.entered == 0
        assert (await server.run(feed.run)).status == "interrupted"
        assert (await server.thread()).status == "interrupted"
