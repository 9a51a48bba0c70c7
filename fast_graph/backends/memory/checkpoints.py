"""Checkpoints in memory: LangGraph's own saver, one per thread, so that a thread is dropped in one step."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from fast_graph.model.errors import InvalidError, LeaseLostError
from fast_graph.model.records import FENCE_KEY
from fast_graph.storage.checkpoints import Checkpointer

Place = tuple[str, str, str]
"""A checkpoint: its thread, its namespace, its id."""


class ThreadSaver(InMemorySaver):
    """The checkpoints of one thread, the runs that wrote them, and how to take back the last one."""

    def __init__(self, serde: SerializerProtocol) -> None:
        super().__init__(serde=serde)
        self.run_ids: set[str] = set()
        self._writer: str | None = None
        self._before: dict[Place, dict[Any, Any]] = {}

    def remember(self, run_id: str, place: Place) -> None:
        """Keep the writes of a checkpoint as they were before the run that is writing now touched them."""
        if run_id != self._writer:
            self._writer, self._before = run_id, {}
        if place not in self._before:
            self._before[place] = dict(self.writes.get(place, {}))

    def restore(self, run_id: str) -> None:
        """Put back the writes that the run added to, such as its answer to an interrupt."""
        if run_id != self._writer:
            return
        for place, writes in self._before.items():
            thread_id, namespace, checkpoint_id = place
            if writes and checkpoint_id in self.storage[thread_id][namespace]:
                self.writes[place] = writes
            else:
                self.writes.pop(place, None)
        self._writer, self._before = None, {}


class MemoryCheckpointer(Checkpointer):
    """Every operation goes to the saver of its thread; copying, pruning and rolling back are added.

    ``is_held`` tells whether a run's lease has a token: a late holder can write no checkpoint.
    """

    def __init__(
        self,
        is_held: Callable[[str, int], bool] = lambda run_id, token: True,
        *,
        serde: SerializerProtocol | None = None,
    ) -> None:
        super().__init__(serde=serde)
        self._is_held = is_held
        self._threads: dict[str, ThreadSaver] = {}
        self._thread_of_run: dict[str, str] = {}
        self._versions = InMemorySaver(serde=self.serde)

    def _saver(self, config: RunnableConfig) -> ThreadSaver:
        # LangGraph's saver notes every thread it is asked about, so an unknown one gets a saver to throw away.
        return self._threads.get(config["configurable"]["thread_id"]) or ThreadSaver(self.serde)

    def _writable(self, config: RunnableConfig) -> ThreadSaver:
        where = config["configurable"]
        thread_id, token = where["thread_id"], where.get(FENCE_KEY)
        if token is not None and not self._is_held(where["run_id"], token):
            raise LeaseLostError(f"The lease of run {where['run_id']} is lost: its checkpoint is not written")
        saver = self._threads.get(thread_id)
        if saver is None:
            saver = self._threads[thread_id] = ThreadSaver(self.serde)
        return saver

    def get_next_version(self, current: str | None, channel: None) -> str:
        return self._versions.get_next_version(current, channel)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._saver(config).get_tuple(config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        savers = [self._saver(config)] if config else self._threads.values()
        found = (item for saver in savers for item in saver.list(config, filter=filter, before=before))
        return (item for item, _ in zip(found, range(limit), strict=False)) if limit is not None else found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        saver = self._writable(config)
        if run_id := get_checkpoint_metadata(config, metadata).get("run_id"):
            self._note(saver, run_id, config)
        config, metadata = self.shown(config, metadata)
        return saver.put(config, checkpoint, metadata, new_versions)

    def _note(self, saver: ThreadSaver, run_id: str, config: RunnableConfig) -> None:
        saver.run_ids.add(run_id)
        self._thread_of_run[run_id] = config["configurable"]["thread_id"]

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        saver, where = self._writable(config), config["configurable"]
        if run_id := where.get("run_id"):
            self._note(saver, run_id, config)
            saver.remember(run_id, (where["thread_id"], where.get("checkpoint_ns", ""), where["checkpoint_id"]))
        saver.put_writes(config, writes, task_id, task_path)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return self._saver(config).get_delta_channel_history(config=config, channels=channels)

    def delete_thread(self, thread_id: str) -> None:
        saver = self._threads.pop(thread_id, None)
        for run_id in saver.run_ids if saver else ():
            self._thread_of_run.pop(run_id, None)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            saver = self._threads.get(self._thread_of_run.pop(run_id, ""))
            if saver is None:
                continue
            saver.run_ids.discard(run_id)
            for item in list(saver.list(None, filter={"run_id": run_id})):
                _forget(saver, item)
            saver.restore(run_id)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        source = self._threads.get(source_thread_id)
        if source is None:
            return
        target = ThreadSaver(self.serde)
        for namespace, checkpoints in source.storage[source_thread_id].items():
            for checkpoint_id, (checkpoint, metadata, parent) in checkpoints.items():
                moved = {**self.serde.loads_typed(metadata), "thread_id": target_thread_id}
                entry = (checkpoint, self.serde.dumps_typed(moved), parent)
                target.storage[target_thread_id][namespace][checkpoint_id] = entry
        target.writes.update({(target_thread_id, *key[1:]): dict(value) for key, value in source.writes.items()})
        target.blobs.update({(target_thread_id, *key[1:]): value for key, value in source.blobs.items()})
        self._threads[target_thread_id] = target

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        if strategy not in ("keep_latest", "delete"):
            raise InvalidError(f"There is no pruning strategy {strategy!r}: choose keep_latest or delete")
        for thread_id in thread_ids:
            saver = self._threads.get(thread_id)
            if saver is not None and strategy == "keep_latest":
                _keep_latest(saver, thread_id)
            else:
                self.delete_thread(thread_id)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for item in self.list(config, filter=filter, before=before, limit=limit):
            yield item

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self.put_writes(config, writes, task_id, task_path)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return self.get_delta_channel_history(config=config, channels=channels)

    async def adelete_thread(self, thread_id: str) -> None:
        self.delete_thread(thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        self.delete_for_runs(run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self.copy_thread(source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        self.prune(thread_ids, strategy=strategy)


def _keep_latest(saver: InMemorySaver, thread_id: str) -> None:
    for namespace in saver.storage[thread_id]:
        config: RunnableConfig = {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace}}
        for item in list(saver.list(config))[1:]:
            _forget(saver, item)


def _forget(saver: InMemorySaver, item: CheckpointTuple) -> None:
    """Remove one checkpoint, its writes, and the channel values that no other checkpoint refers to."""
    where = item.config["configurable"]
    thread_id, namespace, checkpoint_id = where["thread_id"], where["checkpoint_ns"], where["checkpoint_id"]
    checkpoints = saver.storage[thread_id][namespace]
    del checkpoints[checkpoint_id]
    saver.writes.pop((thread_id, namespace, checkpoint_id), None)
    rest = (saver.serde.loads_typed(stored) for stored, _, _ in checkpoints.values())
    needed = {version for left in rest for version in left["channel_versions"].items()}
    for channel, version in item.checkpoint["channel_versions"].items():
        if (channel, version) not in needed:
            saver.blobs.pop((thread_id, namespace, channel, version), None)
