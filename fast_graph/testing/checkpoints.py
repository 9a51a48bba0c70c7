"""What FastGraph's backends add to a BaseCheckpointSaver: copying, pruning and rolling back.

What LangGraph itself asks of a saver is tested by its own suite, langgraph-checkpoint-conformance.
"""

from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointMetadata, CheckpointTuple, empty_checkpoint

from fast_graph.model.errors import InvalidError
from fast_graph.storage.backend import Stores
from fast_graph.testing.rows import new_id

Saver = BaseCheckpointSaver[Any]
CHILD = "child:1"


def at(thread_id: str, namespace: str = "", checkpoint_id: str | None = None) -> RunnableConfig:
    """Where a checkpoint is, or is to be put: on the thread's newest, or on a given one."""
    where = {"thread_id": thread_id, "checkpoint_ns": namespace}
    return {"configurable": where if checkpoint_id is None else {**where, "checkpoint_id": checkpoint_id}}


def id_of(config: RunnableConfig | None) -> str | None:
    """The id of the checkpoint that a config names."""
    return None if config is None else config["configurable"]["checkpoint_id"]


class CheckpointerConformance:
    """Takes the fixture ``stores`` (open and empty)."""

    async def put(
        self,
        saver: Saver,
        thread_id: str,
        *,
        run_id: str = "run-1",
        namespace: str = "",
        **values: Any,
    ) -> str:
        """Put one more checkpoint, the child of the latest one, whose channels have these values as well."""
        latest = await saver.aget_tuple(at(thread_id, namespace))
        before = latest.checkpoint if latest else empty_checkpoint()
        versions = dict(before["channel_versions"])
        fresh = {name: saver.get_next_version(cast(Any, versions.get(name)), None) for name in values}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {**before["channel_values"], **values}
        checkpoint["channel_versions"] = {**versions, **fresh}
        config = latest.config if latest else at(thread_id, namespace)
        facts = {"source": "loop", "step": 1, "parents": {}, "run_id": run_id, "thread_id": thread_id}
        metadata = cast(CheckpointMetadata, facts)
        return str(id_of(await saver.aput(config, checkpoint, metadata, fresh)))

    async def history(self, saver: Saver, thread_id: str, namespace: str = "") -> list[CheckpointTuple]:
        """The checkpoints of a thread, newest first."""
        return [item async for item in saver.alist(at(thread_id, namespace))]

    async def ids(self, saver: Saver, thread_id: str, namespace: str = "") -> list[str]:
        """The ids of the checkpoints of a thread, newest first."""
        return [item.checkpoint["id"] for item in await self.history(saver, thread_id, namespace)]

    async def values(self, saver: Saver, thread_id: str, namespace: str = "") -> dict[str, Any] | None:
        """The channel values of the thread's latest checkpoint."""
        latest = await saver.aget_tuple(at(thread_id, namespace))
        return None if latest is None else latest.checkpoint["channel_values"]

    async def written(self, saver: Saver, thread_id: str) -> list[tuple[str, str, Any]]:
        """The pending writes of the thread's latest checkpoint."""
        latest = await saver.aget_tuple(at(thread_id))
        assert latest is not None
        return list(latest.pending_writes or ())

    # ---------------------------------------------------------------- copy

    async def test_a_copy_has_the_whole_history(self, stores: Stores) -> None:
        saver, source, target = stores.checkpointer, new_id(), new_id()
        ids = [await self.put(saver, source, n=n, fixed="f") for n in range(3)]
        child = await self.put(saver, source, namespace=CHILD, deep=1)
        await saver.acopy_thread(source, target)
        copied = await self.history(saver, target)
        assert [item.checkpoint["id"] for item in copied] == ids[::-1]
        assert [item.checkpoint["channel_values"]["n"] for item in copied] == [2, 1, 0]
        assert await self.ids(saver, target, CHILD) == [child]
        assert await self.values(saver, target, CHILD) == {"deep": 1}

    async def test_a_copy_bears_its_own_thread_id(self, stores: Stores) -> None:
        saver, source, target = stores.checkpointer, new_id(), new_id()
        for n in range(2):
            await self.put(saver, source, n=n)
        await saver.acopy_thread(source, target)
        for item in await self.history(saver, target):
            assert item.config["configurable"]["thread_id"] == target
            assert cast(dict[str, Any], item.metadata)["thread_id"] == target
            assert cast(dict[str, Any], item.metadata)["run_id"] == "run-1"
        for item in await self.history(saver, source):
            assert cast(dict[str, Any], item.metadata)["thread_id"] == source

    async def test_a_copy_keeps_the_links_to_parents(self, stores: Stores) -> None:
        saver, source, target = stores.checkpointer, new_id(), new_id()
        first, second = [await self.put(saver, source, n=n) for n in range(2)]
        await saver.acopy_thread(source, target)
        newest, oldest = await self.history(saver, target)
        assert (id_of(newest.parent_config), oldest.parent_config) == (first, None)
        assert newest.checkpoint["id"] == second
        assert newest.parent_config is not None
        assert newest.parent_config["configurable"]["thread_id"] == target

    async def test_a_copy_keeps_pending_writes(self, stores: Stores) -> None:
        saver, source, target = stores.checkpointer, new_id(), new_id()
        checkpoint_id = await self.put(saver, source, n=1)
        await saver.aput_writes(at(source, "", checkpoint_id), [("n", 2), ("m", [3])], "task-1")
        await saver.acopy_thread(source, target)
        assert await self.written(saver, target) == [("task-1", "n", 2), ("task-1", "m", [3])]

    async def test_a_copy_goes_its_own_way(self, stores: Stores) -> None:
        saver, source, target = stores.checkpointer, new_id(), new_id()
        checkpoint_id = await self.put(saver, source, n=1)
        await saver.aput_writes(at(source, "", checkpoint_id), [("n", 5)], "task-1")
        await saver.acopy_thread(source, target)
        await saver.aput_writes(at(source, "", checkpoint_id), [("n", 9)], "task-2")
        await self.put(saver, target, n=2)
        assert (await self.values(saver, source), await self.values(saver, target)) == ({"n": 1}, {"n": 2})
        await saver.adelete_thread(source)
        writes = [item.pending_writes or [] for item in await self.history(saver, target)]
        assert writes == [[], [("task-1", "n", 5)]]
        assert await self.values(saver, target) == {"n": 2}

    async def test_copying_a_thread_without_checkpoints_copies_nothing(self, stores: Stores) -> None:
        saver, target = stores.checkpointer, new_id()
        await saver.acopy_thread(new_id(), target)
        assert await self.ids(saver, target) == []

    # ---------------------------------------------------------------- roll back

    async def test_rolling_a_run_back_removes_its_checkpoints_only(self, stores: Stores) -> None:
        saver, thread, other = stores.checkpointer, new_id(), new_id()
        kept = [await self.put(saver, thread, run_id="run-1", n=n) for n in range(2)]
        for n in range(2):
            await self.put(saver, thread, run_id="run-2", n=10 + n)
            await self.put(saver, thread, run_id="run-2", namespace=CHILD, deep=n)
        elsewhere = await self.put(saver, other, run_id="run-3", n=1)
        await saver.adelete_for_runs(["run-2"])
        assert await self.ids(saver, thread) == kept[::-1]
        assert await self.ids(saver, thread, CHILD) == []
        assert await self.ids(saver, other) == [elsewhere]

    async def test_rolling_a_run_back_leaves_the_state_before_it(self, stores: Stores) -> None:
        saver, thread = stores.checkpointer, new_id()
        before = await self.put(saver, thread, run_id="run-1", n=1, fixed="f")
        await saver.aput_writes(at(thread, "", before), [("n", 5)], "task-1")
        await self.put(saver, thread, run_id="run-2", n=2)
        await self.put(saver, thread, run_id="run-2", n=3, new=True)
        await saver.adelete_for_runs(["run-2"])
        assert await self.values(saver, thread) == {"n": 1, "fixed": "f"}
        assert await self.written(saver, thread) == [("task-1", "n", 5)]
        await self.put(saver, thread, run_id="run-3", n=4)
        assert await self.values(saver, thread) == {"n": 4, "fixed": "f"}

    async def test_rolling_a_run_back_takes_back_what_it_wrote_to_earlier_checkpoints(self, stores: Stores) -> None:
        saver, thread = stores.checkpointer, new_id()
        before = await self.put(saver, thread, run_id="run-1", n=1)
        await saver.aput_writes(at(thread, "", before), [("n", 5)], "task-1")
        place = at(thread, "", before)
        resuming: RunnableConfig = {"configurable": {**place["configurable"], "run_id": "run-2"}}
        await saver.aput_writes(resuming, [("n", 6)], "task-2")
        await self.put(saver, thread, run_id="run-2", n=2)
        await saver.adelete_for_runs(["run-2"])
        assert await self.written(saver, thread) == [("task-1", "n", 5)]

    async def test_several_runs_are_rolled_back_at_once(self, stores: Stores) -> None:
        saver, thread = stores.checkpointer, new_id()
        first = await self.put(saver, thread, run_id="run-1", n=1)
        for run_id in ("run-2", "run-3"):
            await self.put(saver, thread, run_id=run_id, n=2)
        await saver.adelete_for_runs(["run-2", "never", "run-3"])
        assert await self.ids(saver, thread) == [first]

    # ---------------------------------------------------------------- prune

    async def test_pruning_keeps_the_latest_of_each_namespace(self, stores: Stores) -> None:
        saver, thread, other = stores.checkpointer, new_id(), new_id()
        for target in (thread, other):
            for n in range(3):
                await self.put(saver, target, n=n, early=1)
                await self.put(saver, target, namespace=CHILD, deep=n)
        latest = (await self.ids(saver, thread))[0]
        await saver.aput_writes(at(thread, "", latest), [("n", 9)], "task-1")
        await saver.aprune([thread], strategy="keep_latest")
        assert await self.ids(saver, thread) == [latest]
        assert await self.values(saver, thread) == {"n": 2, "early": 1}
        assert await self.written(saver, thread) == [("task-1", "n", 9)]
        assert len(await self.ids(saver, thread, CHILD)) == 1
        assert await self.values(saver, thread, CHILD) == {"deep": 2}
        assert len(await self.ids(saver, other)) == 3

    async def test_pruning_can_remove_everything(self, stores: Stores) -> None:
        saver, one, two, other = stores.checkpointer, new_id(), new_id(), new_id()
        for thread in (one, two, other):
            await self.put(saver, thread, n=1)
        await saver.aprune([one, new_id(), two], strategy="delete")
        assert [await self.ids(saver, thread) for thread in (one, two)] == [[], []]
        assert len(await self.ids(saver, other)) == 1

    async def test_pruning_in_an_unknown_way_is_refused(self, stores: Stores) -> None:
        saver, thread = stores.checkpointer, new_id()
        checkpoint_id = await self.put(saver, thread, n=1)
        with pytest.raises(InvalidError, match="some_other_way"):
            await saver.aprune([thread], strategy="some_other_way")
        assert await self.ids(saver, thread) == [checkpoint_id]

    # ---------------------------------------------------------------- delete

    async def test_a_deleted_thread_leaves_nothing(self, stores: Stores) -> None:
        saver, thread, other = stores.checkpointer, new_id(), new_id()
        for target in (thread, other):
            checkpoint_id = await self.put(saver, target, n=1)
            await saver.aput_writes(at(target, "", checkpoint_id), [("n", 2)], "task-1")
            await self.put(saver, target, namespace=CHILD, deep=1)
        await saver.adelete_thread(thread)
        await saver.adelete_thread(new_id())
        assert [await self.ids(saver, thread, ns) for ns in ("", CHILD)] == [[], []]
        assert await self.values(saver, thread) is None
        assert await self.values(saver, other) == {"n": 1}
        assert await self.written(saver, other) == [("task-1", "n", 2)]

    async def test_an_empty_saver_is_a_saver(self, stores: Stores) -> None:
        assert stores.checkpointer, "LangGraph takes a checkpointer that is false for none"
        assert await self.values(stores.checkpointer, new_id()) is None
