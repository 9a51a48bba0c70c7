"""Checkpoints in a SQLite file: fences, restarts, and what rolling back leaves alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointMetadata, CheckpointTuple, empty_checkpoint
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from fast_graph.backends.sqlite.checkpoints import SqliteCheckpointer
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.model.errors import LeaseLostError
from fast_graph.model.records import FENCE_KEY
from tests.unit.backends.sqlite.files import rows, with_runs

TABLES = ("checkpoints", "writes", "fast_graph_undo", "fast_graph_writers")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return with_runs(tmp_path / "fast_graph.db", ("run", 2, "running"))


@pytest.fixture
async def saver(path: Path) -> AsyncIterator[SqliteCheckpointer]:
    async with SqliteFile(path) as file:
        saver = SqliteCheckpointer(file)
        await saver.setup()
        yield saver


def at(thread_id: str = "thread", /, **more: Any) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


async def put(saver: SqliteCheckpointer, config: RunnableConfig | None = None, /, **metadata: Any) -> str:
    facts = cast(CheckpointMetadata, {"source": "loop", "step": 1, **metadata})
    stored = await saver.aput(config or at(), empty_checkpoint(), facts, {})
    return str(stored["configurable"]["checkpoint_id"])


async def listed(saver: SqliteCheckpointer, config: RunnableConfig | None = None, **how: Any) -> list[CheckpointTuple]:
    return [item async for item in saver.alist(config or at(), **how)]


async def written(saver: SqliteCheckpointer, checkpoint_id: str) -> Sequence[Any]:
    found = await saver.aget_tuple(at(checkpoint_id=checkpoint_id))
    assert found is not None
    return found.pending_writes or ()


def left(path: Path) -> dict[str, int]:
    counted = {table: rows(path, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}
    return {table: cast(int, count) for table, count in counted.items() if count}


# -------------------------------------------------------------------- fences


async def test_the_holder_of_a_lease_writes(saver: SqliteCheckpointer) -> None:
    fenced = {"run_id": "run", FENCE_KEY: 2}
    checkpoint_id = await put(saver, at(**fenced))
    await saver.aput_writes(at(checkpoint_id=checkpoint_id, **fenced), [("n", 1)], "task")
    assert await written(saver, checkpoint_id) == [("task", "n", 1)]
    [item] = await listed(saver)
    assert FENCE_KEY not in item.metadata


@pytest.mark.parametrize(
    ("run_id", "token", "status"),
    [("run", 1, "running"), ("run", 2, "pending"), ("run", 2, "success"), ("deleted", 2, "running")],
    ids=["an older token", "released", "ended", "deleted"],
)
async def test_a_late_holder_writes_nothing(
    saver: SqliteCheckpointer, path: Path, run_id: str, token: int, status: str
) -> None:
    with_runs(path, ("run", 2, status))
    before = await put(saver, run_id="earlier")
    fenced = {"run_id": run_id, FENCE_KEY: token}
    with pytest.raises(LeaseLostError, match=run_id):
        await put(saver, at(**fenced))
    with pytest.raises(LeaseLostError, match=run_id):
        await saver.aput_writes(at(checkpoint_id=before, **fenced), [("n", 1)], "task")
    assert left(path) == {"checkpoints": 1, "fast_graph_writers": 1}


# -------------------------------------------------------------------- restarts


class State(TypedDict, total=False):
    asked: str
    answer: str


def ask(state: State) -> State:
    return {"asked": "asked"}


def wait(state: State) -> State:
    return {"answer": interrupt("what?")}


def compiled(saver: SqliteCheckpointer) -> Any:
    graph = StateGraph(State).add_node(ask).add_node(wait)
    return graph.add_edge(START, "ask").add_edge("ask", "wait").compile(checkpointer=saver)


async def test_an_interrupted_graph_is_resumed_after_a_restart(path: Path) -> None:
    config = at(run_id="run", **{FENCE_KEY: 2})
    async with SqliteFile(path) as file:
        saver = SqliteCheckpointer(file)
        await saver.setup()
        [waiting] = (await compiled(saver).ainvoke({}, config))["__interrupt__"]
        assert waiting.value == "what?"
    with_runs(path, ("next", 1, "running"))
    config = at(run_id="next", **{FENCE_KEY: 1})
    async with SqliteFile(path) as file:
        saver = SqliteCheckpointer(file)
        await saver.setup()
        assert (await compiled(saver).aget_state(at())).next == ("wait",)
        assert await compiled(saver).ainvoke(Command(resume="that"), config) == {"asked": "asked", "answer": "that"}


async def test_a_resumed_graph_that_is_rolled_back_waits_again(saver: SqliteCheckpointer, path: Path) -> None:
    with_runs(path, ("next", 1, "running"))
    graph = compiled(saver)
    await graph.ainvoke({}, at(run_id="run", **{FENCE_KEY: 2}))
    before = await listed(saver)
    await graph.ainvoke(Command(resume="that"), at(run_id="next", **{FENCE_KEY: 1}))
    await saver.adelete_for_runs(["next"])
    assert await listed(saver) == before
    state = await graph.aget_state(at())
    assert (state.next, [waiting.value for waiting in state.interrupts]) == (("wait",), ["what?"])
    assert rows(path, "SELECT * FROM fast_graph_undo") == []


# -------------------------------------------------------------------- rolling back


async def test_rolling_back_restores_what_was_replaced(saver: SqliteCheckpointer) -> None:
    before = await put(saver, run_id="run-1")
    for run_id, value in (("run-1", "first"), ("run-2", "second"), ("run-2", "third")):
        await saver.aput_writes(at(checkpoint_id=before, run_id=run_id), [("__resume__", value)], "task")
    assert await written(saver, before) == [("task", "__resume__", "third")]
    await saver.adelete_for_runs(["run-2"])
    assert await written(saver, before) == [("task", "__resume__", "first")]


async def test_what_an_edit_wrote_meanwhile_stays(saver: SqliteCheckpointer) -> None:
    before = await put(saver, run_id="run-1")
    await saver.aput_writes(at(checkpoint_id=before, run_id="run-2"), [("n", 1)], "task-1")
    await saver.aput_writes(at(checkpoint_id=before), [("n", 2)], "task-2")
    await saver.adelete_for_runs(["run-2"])
    assert await written(saver, before) == [("task-2", "n", 2)]


async def test_only_the_last_run_of_a_thread_can_be_taken_back(saver: SqliteCheckpointer, path: Path) -> None:
    before = await put(saver, run_id="run-1")
    for run_id in ("run-2", "run-3"):
        await saver.aput_writes(at(checkpoint_id=before, run_id=run_id), [("n", run_id)], run_id)
    await saver.adelete_for_runs(["run-2"])
    assert await written(saver, before) == [("run-2", "n", "run-2"), ("run-3", "n", "run-3")]
    await saver.adelete_for_runs(["run-3"])
    assert await written(saver, before) == [("run-2", "n", "run-2")]


async def test_writes_to_a_checkpoint_of_the_same_run_need_no_memory(saver: SqliteCheckpointer, path: Path) -> None:
    own = await put(saver, run_id="run-1")
    await saver.aput_writes(at(checkpoint_id=own, run_id="run-1"), [("n", 1)], "task")
    assert left(path) == {"checkpoints": 1, "writes": 1, "fast_graph_writers": 1}
    await saver.adelete_for_runs(["run-1"])
    assert left(path) == {}


async def test_a_copy_keeps_what_is_rolled_back_on_the_original(saver: SqliteCheckpointer) -> None:
    first = await put(saver, run_id="run-1")
    second = await put(saver, at(checkpoint_id=first), run_id="run-2")
    await saver.acopy_thread("thread", "copy")
    await saver.adelete_for_runs(["run-2"])
    assert [item.checkpoint["id"] for item in await listed(saver)] == [first]
    assert [item.checkpoint["id"] for item in await listed(saver, at("copy"))] == [second, first]


async def test_a_deleted_thread_leaves_no_row(saver: SqliteCheckpointer, path: Path) -> None:
    before = await put(saver, run_id="run-1")
    await saver.aput_writes(at(checkpoint_id=before, run_id="run-2"), [("n", 1)], "task")
    assert set(left(path)) == set(TABLES)
    await saver.adelete_thread("thread")
    assert left(path) == {}


# -------------------------------------------------------------------- reading


async def test_a_filter_compares_values_as_they_are(saver: SqliteCheckpointer) -> None:
    await put(saver, **{"odd key": 1, "tags": ["a"], "text": "1", "yes": True})
    await put(saver, **{"odd key": 2, "tags": ["b"], "text": "2", "yes": False})
    for wanted in ({"odd key": 2}, {"tags": ["b"]}, {"text": "2"}, {"yes": False}, {"text": "2", "odd key": 2}):
        assert [item.metadata["text"] for item in await listed(saver, filter=wanted)] == ["2"]  # type: ignore[typeddict-item]
    for wanted in ({"text": 2}, {"missing": "2"}, {"text.deep": "2"}, {"text": "2", "odd key": 1}):
        assert await listed(saver, filter=wanted) == []


async def test_a_list_is_limited_to_what_passes(saver: SqliteCheckpointer) -> None:
    ids = [await put(saver, step=step, even=step % 2 == 0) for step in range(6)]
    found = await listed(saver, filter={"even": True}, limit=2)
    assert [item.checkpoint["id"] for item in found] == [ids[4], ids[2]]
    found = await listed(saver, filter={"even": True}, before=at(checkpoint_id=ids[4]), limit=2)
    assert [item.checkpoint["id"] for item in found] == [ids[2], ids[0]]
    assert len(await listed(saver, before=at())) == 6


async def test_metadata_that_is_not_json_is_refused(saver: SqliteCheckpointer, path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        await put(saver, score=float("nan"))
    assert left(path) == {}


async def test_what_the_graph_changes_later_is_not_stored(saver: SqliteCheckpointer) -> None:
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"list": [1]}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(saver.aput(at(), checkpoint, {}, {}))
        await asyncio.sleep(0)
        checkpoint["channel_values"]["list"].append(2)
    [item] = await listed(saver)
    assert item.checkpoint["channel_values"] == {"list": [1]}


async def test_threads_use_it_without_an_event_loop(saver: SqliteCheckpointer) -> None:
    def use() -> Any:
        graph = compiled(saver)
        graph.invoke({}, at())
        result = graph.invoke(Command(resume="that"), at())
        saver.copy_thread("thread", "copy")
        saver.prune(["thread"])
        history = [*saver.list(at("copy"))]
        saver.delete_for_runs(["run"])
        saver.delete_thread("copy")
        return result, len([*saver.list(at())]), len(history), saver.get_tuple(at("copy"))

    result, rest, copied, gone = await asyncio.to_thread(use)
    assert (result, rest, copied, gone) == ({"asked": "asked", "answer": "that"}, 1, 4, None)


async def test_setting_up_again_changes_nothing(saver: SqliteCheckpointer, path: Path) -> None:
    await put(saver)
    tables = rows(path, "SELECT sql FROM sqlite_master ORDER BY name")
    await saver.setup()
    assert rows(path, "SELECT sql FROM sqlite_master ORDER BY name") == tables
    assert len(await listed(saver)) == 1
