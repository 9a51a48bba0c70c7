import asyncio
import math
from contextlib import suppress
from enum import StrEnum
from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_DURABILITY
from langgraph.checkpoint.base import CheckpointMetadata, CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME
from langgraph.types import Command

from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from fast_graph.backends.postgres.checkpoints import DURABILITY_KEY, PostgresCheckpointer
from fast_graph.backends.postgres.direct import Direct
from fast_graph.backends.postgres.engine import PostgresOptions
from fast_graph.backends.postgres.held_back import MOST_BYTES, MOST_FAILED
from fast_graph.backends.postgres.pool import Connections
from fast_graph.model.errors import LeaseLostError, RefusedError, UnavailableError
from fast_graph.testing.rows import new_id
from tests.services.processes import Server
from tests.unit.backends.postgres.graphs import DeltaLog, asks, chain, says
from tests.unit.backends.postgres.kept import NEVER, Kept, kept_in

TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
SPELLS = 20.0
"""Seconds for what happens in a moment."""


class Colour(StrEnum):
    RED = "red"


def at(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


def on(config: RunnableConfig, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {**config["configurable"], "checkpoint_id": checkpoint_id}}


async def put(saver: Any, config: RunnableConfig, **values: Any) -> str:
    """One more checkpoint, whose channels have these values."""
    checkpoint = empty_checkpoint()
    versions = {name: saver.get_next_version(None, None) for name in values}
    checkpoint["channel_values"], checkpoint["channel_versions"] = values, versions
    facts = cast(CheckpointMetadata, {"source": "loop", "step": 1, "parents": {}})
    stored = await saver.aput(config, checkpoint, facts, versions)
    return str(stored["configurable"]["checkpoint_id"])


async def transactions(kept: Kept, thread_id: str) -> int:
    """In how many steps the rows of a thread were written."""
    selects = " UNION ".join(f"SELECT xmin::text FROM {table} WHERE thread_id = %s" for table in TABLES)
    return len(await kept.sql(selects, *[thread_id] * len(TABLES)))


async def pending(kept: Kept, thread_id: str) -> list[Any]:
    found = await kept.checkpointer.aget_tuple(at(thread_id))
    assert found is not None
    return [(channel, value) for _, channel, value in found.pending_writes or []]


async def sizes(kept: Kept) -> list[int]:
    return [await kept.count(table) for table in TABLES]


# ---------------------------------------------------------------- one step


async def test_a_run_of_one_node_is_stored_in_one_step(kept: Kept) -> None:
    config = await kept.hold("run", "t")
    graph = chain(kept.checkpointer, says("one"))
    assert await graph.ainvoke({"log": ["in"]}, config) == {"log": ["in", "one"]}
    assert await sizes(kept) == [0, 0, 0]
    await kept.checkpointer.aflush("run")
    assert await transactions(kept, "t") == 1
    assert [item.metadata.get("run_id") async for item in kept.checkpointer.alist(at("t"))] == ["run"] * 3


async def test_what_is_held_back_is_stored_before_long(postgres_url: str) -> None:
    async with kept_in(postgres_url) as kept:
        await put(kept.checkpointer, await kept.hold("run", "t"), n=1)
        async with asyncio.timeout(SPELLS):
            while not await kept.count("checkpoints"):
                pass


async def test_leaving_stores_what_is_held_back(postgres_url: str) -> None:
    async with kept_in(postgres_url, linger=NEVER) as kept:
        checkpoint_id = await put(kept.checkpointer, await kept.hold("run", "t"), n=1)
    async with kept_in(postgres_url) as kept:
        assert (await kept.sql("SELECT checkpoint_id FROM checkpoints")) == [{"checkpoint_id": checkpoint_id}]


async def test_readers_see_what_is_held_back(kept: Kept) -> None:
    config = await kept.hold("run", "t")
    first = await put(kept.checkpointer, config, n=[1])
    await kept.checkpointer.aput_writes(on(config, first), [("n", [2])], "task")
    found = await kept.checkpointer.aget_tuple(at("t"))
    assert found is not None
    assert (found.checkpoint["channel_values"], found.pending_writes) == ({"n": [1]}, [("task", "n", [2])])
    second = await put(kept.checkpointer, on(config, first), n=[3])
    assert [item.checkpoint["id"] async for item in kept.checkpointer.alist(at("t"))] == [second, first]
    third = await put(kept.checkpointer, on(config, second), n=[4])
    assert [item.checkpoint["id"] async for item in kept.checkpointer.alist(None)] == [third, second, first]
    await put(kept.checkpointer, on(config, third), n=[5])
    await kept.checkpointer.acopy_thread("t", "copy")
    assert len([item async for item in kept.checkpointer.alist(at("copy"))]) == 4
    await put(kept.checkpointer, on(config, third), n=[6])
    await kept.checkpointer.adelete_thread("t")
    await kept.checkpointer.adelete_thread("copy")
    await kept.checkpointer.aflush("run")
    assert await sizes(kept) == [0, 0, 0]


async def test_a_reader_of_elsewhere_does_not_disturb(kept: Kept) -> None:
    await put(kept.checkpointer, await kept.hold("run", "t"), n=1)
    elsewhere = {"configurable": {"thread_id": "t", "checkpoint_ns": "child:1"}}
    for config in (at("other"), cast(RunnableConfig, elsewhere)):
        assert await kept.checkpointer.aget_tuple(config) is None
    assert await sizes(kept) == [0, 0, 0]


async def test_values_are_kept_as_they_were_when_they_were_put(kept: Kept) -> None:
    config, value = await kept.hold("run", "t"), [1]
    checkpoint_id = await put(kept.checkpointer, config, n=value)
    await kept.checkpointer.aput_writes(on(config, checkpoint_id), [("n", value)], "task")
    value.append(2)
    found = await kept.checkpointer.aget_tuple(at("t"))
    assert found is not None
    assert (found.checkpoint["channel_values"], found.pending_writes) == ({"n": [1]}, [("task", "n", [1])])


async def test_a_graph_that_asks_for_it_waits_for_every_write(kept: Kept) -> None:
    seen = []

    async def looks(state: Any) -> Any:
        seen.append(await kept.count("checkpoints"))
        return {"log": ["looked"]}

    graph = chain(kept.checkpointer, looks, looks)
    await graph.ainvoke({"log": []}, await kept.hold("run", "t"), durability="sync")
    assert seen == [2, 3]
    assert await kept.count("checkpoints") == 4


async def test_who_holds_no_lease_has_written_at_once(kept: Kept) -> None:
    await put(kept.checkpointer, at("t"), n=[1])
    assert await sizes(kept) == [1, 1, 0]


async def test_a_graph_that_writes_too_much_waits(kept: Kept) -> None:
    config = await kept.hold("run", "t")
    await put(kept.checkpointer, config, n=bytes(MOST_BYTES // 2))
    assert await sizes(kept) == [0, 0, 0]
    await put(kept.checkpointer, config, n=bytes(MOST_BYTES // 2))
    assert await sizes(kept) == [2, 2, 0]


# ---------------------------------------------------------------- the same as LangGraph's


SCRIPTS: list[list[tuple[str, list[tuple[str, Any]]]]] = [
    [("a", [("x", 1), ("y", [2])]), ("a", [("x", 3)]), ("b", [("x", 4)])],
    [("a", [(INTERRUPT, 1)]), ("a", [(INTERRUPT, 2)]), ("a", [("x", 1)])],
    [("a", [("x", 1), (RESUME, 1)]), ("a", [(RESUME, 2)]), ("a", [("y", 2), (RESUME, 3)])],
    [("a", [(RESUME, 1)]), ("a", [("x", 1), (RESUME, 2)])],
    [("a", [(ERROR, 1), ("x", 1)]), ("a", [(ERROR, 2), ("y", 2)]), ("a", [])],
]


@pytest.mark.parametrize("flushes", [True, False])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_writes_replace_each_other_as_in_langgraphs_saver(
    kept: Kept, script: list[tuple[str, list[tuple[str, Any]]]], flushes: bool
) -> None:
    config = await kept.hold("run", "ours")
    official = AsyncPostgresSaver(cast(Any, kept.connections.pool))
    for saver, where in ((kept.checkpointer, config), (official, at("theirs"))):
        checkpoint_id = await put(saver, where)
        for task_id, writes in script:
            await cast(Any, saver).aput_writes(on(where, checkpoint_id), writes, task_id, "path")
            if flushes:
                await kept.checkpointer.aflush("run")
    await kept.checkpointer.aflush("run")
    fields = "task_id, idx, channel, type, blob, task_path"
    select = f"SELECT {fields} FROM checkpoint_writes WHERE thread_id = %s ORDER BY task_id, idx"
    assert await kept.sql(select, "ours") == await kept.sql(select, "theirs")


async def test_a_checkpoint_that_is_put_again_is_the_later_one_under_the_earlier_parent(kept: Kept) -> None:
    config = await kept.hold("run", "t")
    checkpoint = empty_checkpoint()
    for parent, step in (("p", 1), ("q", 2)):
        facts = cast(CheckpointMetadata, {"source": "loop", "step": step, "parents": {}})
        await kept.checkpointer.aput(on(config, parent), checkpoint, facts, {})
    found = await kept.checkpointer.aget_tuple(at("t"))
    assert found is not None
    assert found.parent_config is not None
    assert (found.parent_config["configurable"]["checkpoint_id"], found.metadata["step"]) == ("p", 2)


async def test_langgraphs_saver_reads_what_ours_stored(kept: Kept) -> None:
    graph = chain(kept.checkpointer, says("one"), says("two"))
    await graph.ainvoke({"log": ["in"]}, await kept.hold("run", "t"))
    ours = [item async for item in kept.checkpointer.alist(at("t"))]
    official = AsyncPostgresSaver(cast(Any, kept.connections.pool))
    theirs: list[CheckpointTuple] = [item async for item in official.alist(at("t"))]
    assert ours == theirs
    assert len(ours) == 4


@pytest.mark.parametrize(
    "value",
    [None, True, 1, -(2**63), 0.1, 1e15, 1e22, math.inf, "text", "n\0l", "\ud800", "💚", Colour.RED, [1, (2,)], b"\0"],
)
async def test_every_value_comes_back_as_from_memory(kept: Kept, value: Any) -> None:
    found = []
    for saver in (kept.checkpointer, MemoryCheckpointer()):
        await put(saver, at("t"), n=value, other="o")
        latest = await saver.aget_tuple(at("t"))
        assert latest is not None
        found.append(latest.checkpoint["channel_values"])
    assert found[0] == found[1]
    assert type(found[0]["n"]) is type(found[1]["n"])


async def test_metadata_may_have_any_character(kept: Kept) -> None:
    config = at("t")
    config["metadata"] = {"k\0": "v\0", "u": "💚"}
    await put(kept.checkpointer, config)
    found = await kept.checkpointer.aget_tuple(at("t"))
    assert found is not None
    assert cast(dict[str, Any], found.metadata)["u"] == "💚"


# ---------------------------------------------------------------- the fence


async def stale(kept: Kept) -> RunnableConfig:
    """The config of an attempt after which the run was claimed again."""
    config = await kept.hold("run", "t", token=1)
    await kept.hold("run", "t", token=2)
    return config


async def test_a_stale_holder_can_write_nothing(kept: Kept) -> None:
    config = await stale(kept)
    checkpoint_id = await put(kept.checkpointer, config, n=[1])
    await kept.checkpointer.aput_writes(on(config, checkpoint_id), [("n", [2])], "task")
    with pytest.raises(LeaseLostError, match="run"):
        await kept.checkpointer.aflush("run")
    assert await sizes(kept) == [0, 0, 0]
    assert await kept.count("fast_graph_undo") == 0


@pytest.mark.parametrize("change", ["DELETE FROM fast_graph_runs", "UPDATE fast_graph_runs SET status = 'success'"])
async def test_a_run_that_has_ended_can_write_nothing(kept: Kept, change: str) -> None:
    config = await kept.hold("run", "t")
    await kept.sql(change)
    await put(kept.checkpointer, config, n=[1])
    with pytest.raises(LeaseLostError):
        await kept.checkpointer.aflush("run")
    assert await sizes(kept) == [0, 0, 0]


async def test_a_stale_holder_is_refused_at_once_from_then_on(kept: Kept) -> None:
    config = await stale(kept)
    await put(kept.checkpointer, config, n=[1])
    with pytest.raises(LeaseLostError):
        await kept.checkpointer.aflush("run")
    await kept.checkpointer.aflush("run")  # it has been told
    for _ in range(2):
        with pytest.raises(LeaseLostError):
            await put(kept.checkpointer, config, n=[1])


async def test_a_new_attempt_in_the_same_process_is_not_blamed_for_the_last(kept: Kept) -> None:
    config = await kept.hold("run", "t", token=1)
    again = await kept.hold("run", "t", token=2)
    await put(kept.checkpointer, config, n=[1])
    checkpoint_id = await put(kept.checkpointer, again, n=[2])
    with pytest.raises(LeaseLostError):
        await put(kept.checkpointer, config, n=[3])
    await kept.checkpointer.aflush("run")
    assert await kept.sql("SELECT checkpoint_id FROM checkpoints") == [{"checkpoint_id": checkpoint_id}]


async def test_readers_are_not_bothered_by_a_stale_holder(kept: Kept) -> None:
    await put(kept.checkpointer, await stale(kept), n=[1])
    assert await kept.checkpointer.aget_tuple(at("t")) is None


async def test_a_graph_learns_that_its_lease_is_lost(kept: Kept) -> None:
    async def loses(state: Any) -> Any:
        await kept.hold("run", "t", token=2)
        with suppress(LeaseLostError):
            await kept.checkpointer.aflush("run")
        return {"log": ["lost"]}

    graph = chain(kept.checkpointer, loses, says("never"))
    with pytest.raises(LeaseLostError):
        await graph.ainvoke({"log": []}, await kept.hold("run", "t"))


async def test_only_so_many_failures_are_remembered(kept: Kept) -> None:
    for number in range(MOST_FAILED + 2):
        config = {"configurable": {**at("t")["configurable"], "run_id": f"run-{number}", "__fast_graph_token": 1}}
        await kept.checkpointer.aput_writes(on(cast(RunnableConfig, config), "c"), [("n", 1)], "task")
        with pytest.raises(LeaseLostError):
            await kept.checkpointer.aflush(f"run-{number}")
    config = {"configurable": {**at("t")["configurable"], "run_id": "run-0", "__fast_graph_token": 1}}
    await kept.checkpointer.aput_writes(on(cast(RunnableConfig, config), "c"), [("n", 1)], "task")
    with pytest.raises(LeaseLostError):
        await kept.checkpointer.aflush("run-0")


# ---------------------------------------------------------------- graphs


async def test_a_graph_that_was_interrupted_goes_on_with_the_answer(kept: Kept) -> None:
    graph = chain(kept.checkpointer, says("before"), asks, says("after"))
    await graph.ainvoke({"log": []}, await kept.hold("run-1", "t"))
    await kept.checkpointer.aflush("run-1")
    assert [channel for channel, _ in await pending(kept, "t")] == [INTERRUPT]
    state = await graph.ainvoke(Command(resume="yes"), await kept.hold("run-2", "t"))
    assert state == {"log": ["before", "yes", "after"]}
    await kept.checkpointer.aflush("run-2")
    assert (await graph.aget_state(at("t"))).values == state
    assert await transactions(kept, "t") == 2


async def test_taking_a_run_back_takes_its_answer_back(kept: Kept) -> None:
    graph = chain(kept.checkpointer, asks, says("after"))
    await graph.ainvoke({"log": []}, await kept.hold("run-1", "t"))
    await kept.checkpointer.aflush("run-1")
    before, waiting = await sizes(kept), await graph.aget_state(at("t"))
    for number in (2, 3):
        config = await kept.hold(f"run-{number}", "t")
        assert await graph.ainvoke(Command(resume=number), config) == {"log": [number, "after"]}
        await kept.checkpointer.adelete_for_runs([f"run-{number}"])
        assert (await sizes(kept), await graph.aget_state(at("t"))) == (before, waiting)
        assert await kept.count("fast_graph_undo") == 0


async def test_the_answer_of_an_attempt_that_ended_is_taken_back_as_well(postgres_url: str) -> None:
    async with kept_in(postgres_url, linger=NEVER) as kept:
        graph = chain(kept.checkpointer, asks, says("after"))
        await graph.ainvoke({"log": []}, await kept.hold("run-1", "t"))
        await kept.checkpointer.aflush("run-1")
        waiting = await graph.aget_state(at("t"))
        await graph.ainvoke(Command(resume="yes"), await kept.hold("run-2", "t"), interrupt_after=["node-0"])
    async with kept_in(postgres_url, linger=NEVER) as kept:
        graph = chain(kept.checkpointer, asks, says("after"))
        config = await kept.hold("run-2", "t", token=2)
        assert await graph.ainvoke(None, config) == {"log": ["yes", "after"]}
        await kept.checkpointer.adelete_for_runs(["run-2"])
        assert await graph.aget_state(at("t")) == waiting


async def test_what_could_be_undone_is_forgotten_when_another_run_answers(kept: Kept) -> None:
    graph = chain(kept.checkpointer, asks, asks, asks)
    await graph.ainvoke({"log": []}, await kept.hold("run-1", "t"))
    for number in (2, 3):
        await kept.checkpointer.aflush(f"run-{number - 1}")
        await graph.ainvoke(Command(resume=number), await kept.hold(f"run-{number}", "t"))
    await kept.checkpointer.aflush("run-3")
    assert [row["run_id"] for row in await kept.sql("SELECT run_id FROM fast_graph_undo")] == ["run-3"]
    await kept.checkpointer.adelete_thread("t")
    assert await kept.count("fast_graph_undo") == 0


async def test_taking_a_run_back_leaves_copies_of_its_thread_alone(kept: Kept) -> None:
    graph = chain(kept.checkpointer, says("one"))
    state = await graph.ainvoke({"log": []}, await kept.hold("run", "t"))
    await kept.checkpointer.acopy_thread("t", "copy")
    await kept.checkpointer.adelete_for_runs(["run"])
    assert (await graph.aget_state(at("copy"))).values == state
    assert await kept.checkpointer.aget_tuple(at("t")) is None
    assert await kept.sql("SELECT 1 FROM checkpoint_blobs WHERE thread_id = 't'") == []


async def test_delta_channels_work_and_are_not_pruned(kept: Kept) -> None:
    graph = chain(kept.checkpointer, says("a"), says("b"), state=DeltaLog)
    for number in range(3):
        await graph.ainvoke({"log": [number]}, await kept.hold(f"run-{number}", "t"))
    expected = [0, "a", "b", 1, "a", "b", 2, "a", "b"]
    assert (await graph.aget_state(at("t"))).values == {"log": expected}
    with pytest.raises(RefusedError, match="DeltaChannel"):
        await kept.checkpointer.aprune(["t"])
    await kept.checkpointer.aflush("run-2")
    await kept.checkpointer.adelete_for_runs(["run-2"])
    assert (await graph.aget_state(at("t"))).values == {"log": expected[:6]}


async def test_a_node_in_a_thread_may_call_a_graph_of_its_own(kept: Kept) -> None:
    inner = chain(None, says("inner"))

    def calls(state: Any) -> Any:
        return {"log": [*inner.invoke({"log": []})["log"], "outer"]}

    graph = chain(kept.checkpointer, calls)
    assert await graph.ainvoke({"log": []}, await kept.hold("run", "t")) == {"log": ["inner", "outer"]}
    found = await asyncio.to_thread(lambda: list(kept.checkpointer.list(at("t"))))
    assert [item.metadata["step"] for item in found] == [1, 0, -1]


async def test_the_event_loop_is_never_blocked(kept: Kept) -> None:
    with pytest.raises(RuntimeError, match="asynchronous"):
        kept.checkpointer.get_tuple(at("t"))


# ---------------------------------------------------------------- many at once


async def test_it_is_made_before_there_is_an_event_loop(postgres_url: str) -> None:
    connections = await asyncio.to_thread(lambda: Connections(postgres_url))
    direct = await asyncio.to_thread(lambda: Direct(PostgresOptions(url=postgres_url)))
    saver = await asyncio.to_thread(lambda: PostgresCheckpointer(connections, direct))
    async with direct, connections, saver:
        await saver.setup()
        assert await saver.aget_tuple(at("t")) is None


async def test_many_threads_share_few_connections(postgres_url: str) -> None:
    async with kept_in(postgres_url, size=4) as kept:
        graph = chain(kept.checkpointer, says("one"), says("two"))
        configs = [await kept.hold(f"run-{number}", new_id()) for number in range(50)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(graph.ainvoke({"log": []}, config)) for config in configs]
        assert [task.result() for task in tasks] == [{"log": ["one", "two"]}] * 50
        for number in range(50):
            await kept.checkpointer.aflush(f"run-{number}")
        assert await kept.count("checkpoints") == 200
        assert kept.connections.pool.get_stats()["pool_size"] <= 4
        used = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()"
        assert (await kept.sql(used))[0]["n"] <= 2 * 4  # of either driver


async def test_a_run_that_cannot_be_stored_does_not_hold_up_others(kept: Kept) -> None:
    slow, fast = await kept.hold("slow", "t-1"), await kept.hold("fast", "t-2")
    await put(kept.checkpointer, slow, n=1)
    await put(kept.checkpointer, fast, n=1)
    pool = kept.connections.pool
    async with asyncio.TaskGroup() as group, pool.connection() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM fast_graph_runs WHERE run_id = 'slow' FOR UPDATE")
        flushing = group.create_task(kept.checkpointer.aflush("slow"))
        await kept.checkpointer.aflush("fast")
        assert await kept.checkpointer.aget_tuple(at("t-2")) is not None
        assert not flushing.done()
    assert await kept.checkpointer.aget_tuple(at("t-1")) is not None


# ---------------------------------------------------------------- the database away


async def test_a_restart_of_the_database_loses_nothing(own_postgres: Server) -> None:
    async with kept_in(own_postgres.url) as kept:

        async def kills(state: Any) -> Any:
            await asyncio.to_thread(own_postgres.kill)
            return {"log": ["killed"]}

        async def starts(state: Any) -> Any:
            await asyncio.to_thread(own_postgres.start)
            return {"log": ["started"]}

        graph = chain(kept.checkpointer, says("one"), kills, says("two"), starts, says("three"))
        state = await graph.ainvoke({"log": []}, await kept.hold("run", "t"))
        assert state == {"log": ["one", "killed", "two", "started", "three"]}
        await kept.checkpointer.aflush("run")
        history = [item async for item in graph.aget_state_history(at("t"))]
        assert [len(item.values.get("log", [])) for item in history] == [5, 4, 3, 2, 1, 0, 0]


async def test_a_restart_between_two_readers_is_not_noticed(own_postgres: Server) -> None:
    async with kept_in(own_postgres.url) as kept:
        await put(kept.checkpointer, at("t"), n=1)
        async with asyncio.TaskGroup() as group:  # so that the pool has several connections
            for _ in range(8):
                group.create_task(kept.checkpointer.aget_tuple(at("t")))
        await asyncio.to_thread(own_postgres.kill)
        await asyncio.to_thread(own_postgres.start)
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(kept.checkpointer.aget_tuple(at("t")))
        await put(kept.checkpointer, at("t"), n=2)
        assert await kept.count("checkpoints") == 2


async def test_without_the_database_readers_are_told_so_and_runs_wait(own_postgres: Server) -> None:
    async with kept_in(own_postgres.url, linger=NEVER) as kept:
        config = await kept.hold("run", "t")
        await put(kept.checkpointer, config, n=1)
        await asyncio.to_thread(own_postgres.kill)
        told = await asyncio.gather(
            kept.checkpointer.aget_tuple(at("other")),
            kept.checkpointer.aget_tuple(at("t")),
            kept.checkpointer.adelete_thread("other"),
            put(kept.checkpointer, at("other"), n=1),
            kept.store.aget(("a",), "k"),
            return_exceptions=True,
        )
        assert [type(error) for error in told] == [UnavailableError] * len(told)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(kept.checkpointer.aget_tuple(config))
            flushing = group.create_task(kept.checkpointer.aflush("run"))
            await asyncio.to_thread(own_postgres.start)
        assert flushing.done()
        assert reading.result() is not None


async def test_a_run_gives_up_in_the_end_and_writes_nothing_more(own_postgres: Server) -> None:
    async with kept_in(own_postgres.url, linger=NEVER, patience=0) as kept:
        config = await kept.hold("run", "t")
        await put(kept.checkpointer, config, n=[1])
        await asyncio.to_thread(own_postgres.kill)
        with pytest.raises(UnavailableError):
            await kept.checkpointer.aflush("run")
        await asyncio.to_thread(own_postgres.start)
        with pytest.raises(UnavailableError):
            await put(kept.checkpointer, config, n=[2])
        assert await sizes(kept) == [0, 0, 0]


# ---------------------------------------------------------------- what is relied on


async def test_langgraphs_tables_are_those_that_are_written_to(kept: Kept) -> None:
    """What copies and stores rows names every column."""
    found = await kept.sql(
        "SELECT table_name, array_agg(column_name::text ORDER BY column_name) AS columns "
        "FROM information_schema.columns WHERE table_name = ANY(%s) GROUP BY table_name",
        list(TABLES),
    )
    place = ["checkpoint_id", "checkpoint_ns"]
    assert {row["table_name"]: sorted(row["columns"]) for row in found} == {
        "checkpoints": sorted([*place, "thread_id", "parent_checkpoint_id", "type", "checkpoint", "metadata"]),
        "checkpoint_blobs": sorted(["thread_id", "checkpoint_ns", "channel", "version", "type", "blob"]),
        "checkpoint_writes": sorted([*place, "thread_id", "task_id", "task_path", "idx", "channel", "type", "blob"]),
    }


def test_langgraphs_saver_has_what_is_used_of_it() -> None:
    """What it lacks the base class has as well, where it raises NotImplementedError."""
    for name in ("setup", "aget_tuple", "alist", "aget_delta_channel_history", "aprune"):
        assert name in vars(AsyncPostgresSaver)
    assert DURABILITY_KEY == CONFIG_KEY_DURABILITY
