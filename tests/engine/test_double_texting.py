"""A second run on a thread that has one in flight, by each multitask strategy, and by many creators at once."""

import asyncio
from typing import Any

import orjson
import pytest

from fast_graph.model.errors import ConflictError
from fast_graph.model.records import Run
from tests.engine.scripted import Gate, House, State, chain, house, note, told

pytestmark = pytest.mark.timeout(20)

MANY = 100


def graphs(gate: Gate) -> dict[str, object]:
    return {"gate": chain(a=note("a"), gate=gate), "graph": chain(b=note("b"))}


async def blocked(server: House, gate: Gate) -> Run:
    """A run that has got as far as the gate."""
    run = await server.create(graph="gate")
    await gate.reached.wait()
    return run


async def test_reject_refuses_the_second_run_and_lets_the_first_go_on() -> None:
    gate = Gate()
    async with house(graphs(gate)) as server:
        run = await blocked(server, gate)
        with pytest.raises(ConflictError):
            await server.create(multitask_strategy="reject")
        gate.opened.set()
        assert await server.result(run) == {"log": ["a", "gate"]}
        assert len(await server.runs()) == 1


async def test_enqueue_runs_the_second_after_the_first() -> None:
    gate = Gate()
    async with house(graphs(gate)) as server:
        first = await blocked(server, gate)
        second = await server.create(multitask_strategy="enqueue")
        assert (await server.run(second)).status == "pending"
        gate.opened.set()
        assert await server.result(second) == {"log": ["a", "gate", "b"]}
        assert [run.status for run in await server.runs()] == ["success", "success"]
        assert first.run_id != second.run_id


async def test_interrupt_stops_the_first_and_goes_on_where_it_was() -> None:
    gate = Gate()
    async with house(graphs(gate)) as server:
        async with await server.join(await blocked(server, gate)) as first:
            second = await server.create(multitask_strategy="interrupt")
            assert await told(first) == {}
        assert await server.result(second) == {"log": ["a", "b"]}
        assert [run.status for run in await server.runs()] == ["interrupted", "success"]
        thread = await server.thread()
        assert (thread.status, thread.error) == ("idle", None)


async def test_rollback_undoes_the_first_and_starts_clean() -> None:
    gate = Gate()
    async with house(graphs(gate)) as server:
        async with await server.join(await blocked(server, gate)) as first:
            second = await server.create(multitask_strategy="rollback")
            assert await told(first) == {}
        assert await server.result(second) == {"log": ["b"]}
        assert [run.run_id for run in await server.runs()] == [second.run_id]
        thread = await server.thread()
        assert (thread.status, thread.error) == ("idle", None)


async def test_the_error_of_a_displaced_run_names_the_one_that_displaced_it() -> None:
    first, second = Gate("first"), Gate("second")
    async with house({"gate": chain(gate=first), "graph": chain(gate=second)}) as server:
        async with await server.join(await blocked(server, first)) as feed:
            run = await server.create(multitask_strategy="interrupt")
            await told(feed)
        thread = await server.thread()
        assert thread.error is not None
        assert run.run_id in thread.error.message
        second.opened.set()
        await server.result(run)


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_pending_runs_are_displaced_at_once(strategy: str) -> None:
    gate = Gate()
    async with house(graphs(gate)) as server:
        await blocked(server, gate)
        feeds = [await server.start() for _ in range(3)]
        last = await server.create(multitask_strategy=strategy)
        for feed in feeds:
            async with feed:
                assert await told(feed) == {}
        assert await server.result(last) == {"log": ["a", "b"] if strategy == "interrupt" else ["b"]}
        left = [run.status for run in await server.runs()]
        assert left == (["interrupted"] * 4 + ["success"] if strategy == "interrupt" else ["success"])


async def creating(server: House, strategy: str, index: int) -> Run | None:
    given: dict[str, Any] = {"log": [str(index)]}
    try:
        return await server.create(multitask_strategy=strategy, input=given)
    except ConflictError:
        return None


async def many(server: House, strategy: str) -> list[Run]:
    """The runs that were admitted out of many creators at once, in the order of their numbers."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(creating(server, strategy, index)) for index in range(MANY)]
    return [run for task in tasks if (run := task.result())]


async def test_of_many_creators_who_reject_one_is_admitted_at_a_time() -> None:
    gate = Gate()
    async with house(chain(gate=gate)) as server:
        [admitted] = await many(server, "reject")
        await gate.reached.wait()
        assert await many(server, "reject") == []
        gate.opened.set()
        await server.result(admitted)
        assert (await server.thread()).status == "idle"
        [another] = await many(server, "reject")
        await server.result(another)
        assert gate.most == 1
        assert gate.entered == 2


async def test_of_many_creators_who_interrupt_the_last_one_wins() -> None:
    inside = most = 0

    async def slow(state: State) -> State:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
        finally:
            inside -= 1
        return {"log": ["ran"]}

    async with house(chain(slow=slow)) as server:
        runs = await many(server, "interrupt")
        assert len(runs) == MANY
        result = await server.result(runs[-1])
        assert result["log"][-2:] == [str(MANY - 1), "ran"]
        rows = await server.runs()
        assert [run.run_id for run in rows] == [run.run_id for run in runs]
        assert rows[-1].status == "success"
        assert all(run.status in ("interrupted", "success") for run in rows)
        assert most == 1
        thread = await server.thread()
        assert (thread.status, thread.error) == ("idle", None)
        assert orjson.loads(thread.values or b"") == result
        assert server.stores.ledger.pending == 0


async def test_of_many_creators_who_roll_back_the_last_one_is_alone() -> None:
    async with house(chain(a=note("ran"))) as server:
        runs = await many(server, "rollback")
        assert len(runs) == MANY
        assert await server.result(runs[-1]) == {"log": [str(MANY - 1), "ran"]}
        assert (await server.runs())[-1].run_id == runs[-1].run_id
        assert (await server.thread()).status == "idle"


async def test_of_many_creators_who_enqueue_all_have_their_turn_in_order() -> None:
    async with house(chain(a=note("ran"))) as server:
        runs = await many(server, "enqueue")
        result = await server.result(runs[-1])
        assert [entry for entry in result["log"] if entry != "ran"] == [str(index) for index in range(MANY)]
        assert [run.status for run in await server.runs()] == ["success"] * MANY
