"""Checkpoints in PostgreSQL, in the tables of LangGraph's own saver, which reads them here as well."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.postgres.base import BasePostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from fast_graph.backends.postgres import batch as rows
from fast_graph.backends.postgres.batch import Batch, Place, is_plain, to_json
from fast_graph.backends.postgres.direct import Direct
from fast_graph.backends.postgres.held_back import LINGER, HeldBack
from fast_graph.backends.postgres.pool import Connections
from fast_graph.backends.sql.types import storable
from fast_graph.model.errors import InvalidError, LeaseLostError, RefusedError
from fast_graph.model.records import FENCE_KEY
from fast_graph.storage.checkpoints import Checkpointer

T = TypeVar("T")

DURABILITY_KEY = "__pregel_durability"
"""The key of a configurable under which LangGraph says how durable a run's writes are to be."""
LONG = 1024
"""Characters of a string that is worth measuring."""
IMPATIENCE = 5.0
"""Seconds that a reader waits for what this process holds back."""

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS fast_graph_undo (
        run_id text NOT NULL,
        thread_id text NOT NULL,
        checkpoint_ns text NOT NULL,
        checkpoint_id text NOT NULL,
        writes jsonb NOT NULL,
        PRIMARY KEY (run_id, thread_id, checkpoint_ns, checkpoint_id)
    )""",
    "CREATE INDEX IF NOT EXISTS fast_graph_undo_thread ON fast_graph_undo (thread_id)",
    "CREATE INDEX IF NOT EXISTS fast_graph_checkpoints_run ON checkpoints ((metadata ->> 'run_id'), thread_id)",
)
"""What is added to LangGraph's tables: the writes that a checkpoint of another run had before a run added its own."""

DELETE_THREADS = """
WITH c AS (DELETE FROM checkpoints WHERE thread_id = ANY(%(threads)s)),
b AS (DELETE FROM checkpoint_blobs WHERE thread_id = ANY(%(threads)s)),
w AS (DELETE FROM checkpoint_writes WHERE thread_id = ANY(%(threads)s))
DELETE FROM fast_graph_undo WHERE thread_id = ANY(%(threads)s)"""

COPY_THREAD = """
WITH c AS (
    INSERT INTO checkpoints (
        thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
    )
    SELECT %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
        metadata || jsonb_build_object('thread_id', %(target)s::text)
    FROM checkpoints WHERE thread_id = %(source)s ON CONFLICT DO NOTHING
), b AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT %(target)s, checkpoint_ns, channel, version, type, blob
    FROM checkpoint_blobs WHERE thread_id = %(source)s ON CONFLICT DO NOTHING
)
INSERT INTO checkpoint_writes (
    thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path
)
SELECT %(target)s, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path
FROM checkpoint_writes WHERE thread_id = %(source)s ON CONFLICT DO NOTHING"""

DELETE_CHECKPOINTS = """
WITH gone AS (
    DELETE FROM checkpoints c WHERE metadata ->> 'run_id' = ANY(%(runs)s)
        -- Copies of the thread have checkpoints of that run as well.
        AND thread_id = coalesce(
            (SELECT r.thread_id FROM fast_graph_runs r WHERE r.run_id = c.metadata ->> 'run_id'), thread_id
        )
    RETURNING thread_id, checkpoint_ns, checkpoint_id
), w AS (
    DELETE FROM checkpoint_writes w USING gone g
    WHERE (w.thread_id, w.checkpoint_ns, w.checkpoint_id) = (g.thread_id, g.checkpoint_ns, g.checkpoint_id)
)
SELECT DISTINCT thread_id FROM gone"""

DELETE_BLOBS = """
WITH garbage AS (
    SELECT thread_id, checkpoint_ns, channel, version FROM checkpoint_blobs WHERE thread_id = ANY(%(threads)s)
    EXCEPT
    SELECT c.thread_id, c.checkpoint_ns, v.key, v.value
    FROM checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v
    WHERE c.thread_id = ANY(%(threads)s)
)
DELETE FROM checkpoint_blobs b USING garbage g
WHERE (b.thread_id, b.checkpoint_ns, b.channel, b.version) = (g.thread_id, g.checkpoint_ns, g.channel, g.version)"""

DELETE_WRITES = """
DELETE FROM checkpoint_writes w USING fast_graph_undo u
WHERE u.run_id = ANY(%(runs)s)
    AND (w.thread_id, w.checkpoint_ns, w.checkpoint_id) = (u.thread_id, u.checkpoint_ns, u.checkpoint_id)"""

RESTORE_WRITES = """
WITH undone AS (DELETE FROM fast_graph_undo WHERE run_id = ANY(%(runs)s) RETURNING *)
INSERT INTO checkpoint_writes
SELECT w.* FROM undone JOIN checkpoints USING (thread_id, checkpoint_ns, checkpoint_id),
    jsonb_populate_recordset(NULL::checkpoint_writes, undone.writes) w
ON CONFLICT DO NOTHING"""


class PostgresCheckpointer(Checkpointer, BasePostgresSaver):
    """Reads as LangGraph's saver does; writes in fewer and larger steps, which a lost lease makes void.

    What a run writes is held back for a moment and then stored with whatever came meanwhile, by one statement. While
    the database is away, runs wait for it for a minute; everybody else gets UnavailableError.
    """

    def __init__(
        self,
        connections: Connections,
        direct: Direct,
        *,
        linger: float = LINGER,
        serde: SerializerProtocol | None = None,
    ) -> None:
        super().__init__(serde=serde)
        self._connections = connections
        self._direct = direct
        self._held_back = HeldBack(self._store_held, linger=linger)

    async def __aenter__(self) -> Self:
        await self._held_back.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held_back.__aexit__(kind, error, trace)

    async def setup(self) -> None:
        """Make the tables, or bring them up to date.

        LangGraph's migrations build indexes concurrently, which waits for every transaction and every statement that
        began before: nobody may meanwhile sit in one and wait for this to end.
        """
        await self._connections.reach(self._set_up, within=None)

    async def _set_up(self) -> None:
        async with self._connections.pool.connection() as connection:
            await AsyncPostgresSaver(connection).setup()
            for statement in TABLES:
                await connection.execute(statement)

    async def aflush(self, run_id: str) -> None:
        await self._held_back.flush(run_id)

    # ---------------------------------------------------------------- read

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await self._read(config, lambda saver: saver.aget_tuple(config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        # All at once: a reader who takes his time, or looks up more meanwhile, must not keep a connection.
        async def everything(saver: AsyncPostgresSaver) -> list[CheckpointTuple]:
            return [item async for item in saver.alist(config, filter=filter, before=before, limit=limit)]

        for item in await self._read(config, everything):
            yield item

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return await self._read(
            config, lambda saver: saver.aget_delta_channel_history(config=config, channels=channels)
        )

    async def _read(self, config: RunnableConfig | None, work: Callable[[AsyncPostgresSaver], Awaitable[T]]) -> T:
        """What LangGraph's saver finds; one of its own for each reader, since it does one thing at a time."""

        async def reading() -> T:
            async with self._connections.pool.connection() as connection:
                return await work(AsyncPostgresSaver(connection, serde=self.serde))

        where = config["configurable"] if config else {}
        thread_id, namespace = where.get("thread_id"), where.get("checkpoint_ns")
        if FENCE_KEY in where:
            await self._held_back.settle(thread_id, namespace, within=None)
            return await self._connections.insist(reading)
        await self._held_back.settle(thread_id, namespace, within=IMPATIENCE)
        return await self._connections.reach(reading)

    # ---------------------------------------------------------------- write

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        place, parent_id = _place(config, checkpoint["id"]), config["configurable"].get("checkpoint_id")
        thread_id, namespace, _ = place
        inline, values = _apart(checkpoint["channel_values"], sealed=self.seals)
        self._measure(inline)
        versions = {name: str(version) for name, version in new_versions.items() if name in values}
        row = rows.Checkpoint(
            parent_id,
            to_json({**checkpoint, "channel_values": inline}),
            storable(to_json(get_serializable_checkpoint_metadata(*self.shown(config, metadata))).encode()),
        )
        dumped = self._dump_blobs(thread_id, namespace, values, dict(versions))
        blobs = {(thread_id, namespace, name, version): (kind, blob) for *_, name, version, kind, blob in dumped}
        await self._write(config, Batch(checkpoints={place: row}, blobs=blobs))
        return {"configurable": dict(zip(("thread_id", "checkpoint_ns", "checkpoint_id"), place, strict=True))}

    def _measure(self, inline: Mapping[str, Any]) -> None:
        """What is not serialized is shown to the serializer all the same: it refuses what is too large."""
        for value in inline.values():
            if isinstance(value, str) and len(value) > LONG:
                self.serde.dumps_typed(value)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        place = _place(config, config["configurable"]["checkpoint_id"])
        replaces = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        dumped = self._dump_writes(*place, task_id, task_path, writes)
        found: dict[tuple[str, str, str, str, int], rows.Write] = {}
        for *_, index, channel, kind, blob in dumped:
            found[(*place, task_id, index)] = rows.Write(task_path, channel, kind, blob, replaces)
        await self._write(config, Batch(writes=found))

    async def _write(self, config: RunnableConfig, batch: Batch) -> None:
        where = config["configurable"]
        run_id, token = where.get("run_id"), where.get(FENCE_KEY)
        if token is not None:
            at_once = where.get(DURABILITY_KEY) == "sync"
            await self._held_back.add(batch, where["run_id"], token, at_once=at_once)
            return
        await self._held_back.settle(where["thread_id"], None, within=IMPATIENCE)
        parameters = batch.parameters(run_id, None)
        await self._connections.reach(lambda: self._direct.fetch(rows.STORE_ANYWAY, parameters))

    async def _store_held(self, batch: Batch, run_id: str, token: int) -> None:
        parameters = batch.parameters(run_id, token)
        [[held]] = await self._connections.insist(lambda: self._direct.fetch(rows.STORE_HELD, parameters))
        if not held:
            raise LeaseLostError(f"The lease of run {run_id} is lost: its checkpoints are not written")

    async def _execute(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        async with self._connections.pool.connection() as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    # ---------------------------------------------------------------- whole threads and runs

    async def adelete_thread(self, thread_id: str) -> None:
        await self._delete_threads([thread_id])

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self._held_back.settle(source_thread_id, None, within=IMPATIENCE)
        parameters = {"source": source_thread_id, "target": target_thread_id}
        await self._connections.reach(lambda: self._execute(COPY_THREAD, parameters))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        if strategy == "delete":
            await self._delete_threads(thread_ids)
        elif strategy == "keep_latest":
            await self._keep_latest(thread_ids)
        else:
            raise InvalidError(f"There is no pruning strategy {strategy!r}: choose keep_latest or delete")

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Insists, since the end of a run depends on it."""
        for run_id in run_ids:
            await self._held_back.settle_run(run_id)
        await self._connections.insist(lambda: self._roll_back(list(run_ids)))

    async def _delete_threads(self, thread_ids: Sequence[str]) -> None:
        for thread_id in thread_ids:
            await self._held_back.settle(thread_id, None, within=IMPATIENCE)
        await self._connections.reach(lambda: self._execute(DELETE_THREADS, {"threads": list(thread_ids)}))

    async def _keep_latest(self, thread_ids: Sequence[str]) -> None:
        for thread_id in thread_ids:
            await self._held_back.settle(thread_id, None, within=IMPATIENCE)

        async def pruning() -> None:
            async with self._connections.pool.connection() as connection:
                await AsyncPostgresSaver(connection).aprune(thread_ids)

        try:
            await self._connections.reach(pruning)
        except NotImplementedError as error:
            raise RefusedError(
                "A thread whose graph uses a DeltaChannel needs its earlier checkpoints: none was pruned"
            ) from error

    async def _roll_back(self, run_ids: list[str]) -> None:
        """One transaction: a run's checkpoints go, and what it wrote to those of others."""
        async with self._connections.pool.connection() as connection, connection.transaction():
            gone = await (await connection.execute(DELETE_CHECKPOINTS, {"runs": run_ids})).fetchall()
            await connection.execute(DELETE_BLOBS, {"threads": [row["thread_id"] for row in gone]})
            await connection.execute(DELETE_WRITES, {"runs": run_ids})
            await connection.execute(RESTORE_WRITES, {"runs": run_ids})

    # ---------------------------------------------------------------- from threads

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._connections.from_thread(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        async def everything() -> Sequence[CheckpointTuple]:
            return [item async for item in self.alist(config, filter=filter, before=before, limit=limit)]

        return iter(self._connections.from_thread(everything()))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self._connections.from_thread(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._connections.from_thread(self.aput_writes(config, writes, task_id, task_path))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return self._connections.from_thread(self.aget_delta_channel_history(config=config, channels=channels))


def _place(config: RunnableConfig, checkpoint_id: str) -> Place:
    where = config["configurable"]
    return where["thread_id"], where.get("checkpoint_ns", ""), checkpoint_id


def _apart(values: Mapping[str, Any], *, sealed: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is kept within the checkpoint, and what beside it, where the serialiser sees it."""
    inline = {name: value for name, value in values.items() if is_plain(value)} if not sealed else {}
    beside = {name: value for name, value in values.items() if name not in inline}
    # Where a snapshot is, a mark stays: by it LangGraph's saver knows a thread of DeltaChannels.
    marks = {name: True for name, value in beside.items() if isinstance(value, _DeltaSnapshot)}
    return {**inline, **marks}, beside
