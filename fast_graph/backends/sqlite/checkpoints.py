"""Checkpoints in a SQLite file: LangGraph's tables and reading, with writes that a late holder cannot make."""

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.sqlite import SqliteSaver

from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.model.errors import InvalidError, LeaseLostError
from fast_graph.model.records import FENCE_KEY
from fast_graph.storage.checkpoints import Checkpointer

Write = Callable[[sqlite3.Connection], None]
Place = tuple[str, str, str]
"""A checkpoint: its thread, its namespace, its id."""

SIMPLE = re.compile(r"\w+", re.ASCII)
"""Keys of metadata that mean to SQLite what they mean to us."""

TABLES = (
    # Where a run has written. Its checkpoints name it too, but so do the copies that another thread has of them.
    """CREATE TABLE IF NOT EXISTS fast_graph_writers (
        run_id TEXT NOT NULL,
        thread_id TEXT NOT NULL,
        PRIMARY KEY (run_id, thread_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS fast_graph_writers_thread ON fast_graph_writers (thread_id)",
    # The pending writes that a thread's last run has changed on checkpoints it did not make, as they were before;
    # without a channel, there was none.
    """CREATE TABLE IF NOT EXISTS fast_graph_undo (
        thread_id TEXT NOT NULL,
        checkpoint_ns TEXT NOT NULL,
        checkpoint_id TEXT NOT NULL,
        task_id TEXT NOT NULL,
        idx INTEGER NOT NULL,
        run_id TEXT NOT NULL,
        task_path TEXT,
        channel TEXT,
        type TEXT,
        value BLOB,
        PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    )""",
)
OF_A_THREAD = ("checkpoints", "writes", "fast_graph_undo", "fast_graph_writers")

HELD = "SELECT 1 FROM fast_graph_runs WHERE run_id = ? AND token = ? AND status = 'running'"
NOTE = "INSERT OR IGNORE INTO fast_graph_writers (run_id, thread_id) VALUES (?, ?)"

PUT = """INSERT OR REPLACE INTO checkpoints
    (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
PUT_WRITE = """INSERT OR {conflict} INTO writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""

IS_OF_RUN = "json_extract(CAST(metadata AS TEXT), '$.run_id') = ?"
MADE = f"SELECT 1 FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ? AND {IS_OF_RUN}"
FORGET_OTHERS = "DELETE FROM fast_graph_undo WHERE thread_id = ? AND run_id <> ?"
REMEMBER = """INSERT OR IGNORE INTO fast_graph_undo
    (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, run_id, task_path, channel, type, value)
    SELECT key.*, task_path, channel, type, value
    FROM (
        SELECT ? AS thread_id, ? AS checkpoint_ns, ? AS checkpoint_id, ? AS task_id, ? AS idx, ? AS run_id
    ) AS key LEFT JOIN writes USING (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)"""
UNDO = (
    """DELETE FROM writes WHERE (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) IN (
        SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, idx FROM fast_graph_undo
        WHERE thread_id = ? AND run_id = ?
    )""",
    """INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
        SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value
        FROM fast_graph_undo WHERE thread_id = ? AND run_id = ? AND channel IS NOT NULL""",
    "DELETE FROM fast_graph_undo WHERE thread_id = ? AND run_id = ?",
)

OF_RUN = f"SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = ? AND {IS_OF_RUN}"
NOT_LATEST = """SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints AS old WHERE thread_id = ? AND EXISTS (
        SELECT 1 FROM checkpoints AS new WHERE new.thread_id = old.thread_id
        AND new.checkpoint_ns = old.checkpoint_ns AND new.checkpoint_id > old.checkpoint_id
    )"""

COPY = (
    """INSERT OR REPLACE INTO checkpoints
        (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
        SELECT :target, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
            CAST(json_set(CAST(metadata AS TEXT), '$.thread_id', :target) AS BLOB)
        FROM checkpoints WHERE thread_id = :source""",
    """INSERT OR REPLACE INTO writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
        SELECT :target, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value
        FROM writes WHERE thread_id = :source""",
)


class StoredThreads(SqliteSaver):
    """LangGraph's reading, on a connection whose tables and transactions are somebody else's business."""

    def __init__(self, connection: sqlite3.Connection, serde: SerializerProtocol) -> None:
        super().__init__(connection, serde=serde)
        self.is_setup = True

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:  # noqa: FBT001, FBT002 - as it is there
        with closing(self.conn.cursor()) as cursor:
            yield cursor


class SqliteCheckpointer(Checkpointer):
    """Values are serialised before a write waits for its turn: the graph may change them later."""

    def __init__(self, file: SqliteFile, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self._file = file
        self._versions = InMemorySaver(serde=self.serde)

    async def setup(self) -> None:
        """Make the tables, if they are not there yet."""
        await self._file.write(_set_up)

    def get_next_version(self, current: str | None, channel: None) -> str:
        return self._versions.get_next_version(current, channel)

    # ---------------------------------------------------------------- reading

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await self._file.read(partial(self._get_tuple, config=config))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._file.read_now(partial(self._get_tuple, config=config))

    def _get_tuple(self, connection: sqlite3.Connection, *, config: RunnableConfig) -> CheckpointTuple | None:
        return StoredThreads(connection, self.serde).get_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        found = partial(self._list, config=config, filter=filter or {}, before=before, limit=limit)
        for item in await self._file.read(found):
            yield item

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        found = partial(self._list, config=config, filter=filter or {}, before=before, limit=limit)
        return iter(self._file.read_now(found))

    def _list(
        self,
        connection: sqlite3.Connection,
        *,
        config: RunnableConfig | None,
        filter: dict[str, Any],
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Sequence[CheckpointTuple]:
        # What SQL knows how to compare spares the rest from being loaded.
        simple = {key: value for key, value in filter.items() if SIMPLE.fullmatch(key) and isinstance(value, str)}
        before = before if before and get_checkpoint_id(before) else None
        found = StoredThreads(connection, self.serde).list(config, filter=simple, before=before)
        exact = (item for item in found if all(item.metadata.get(key) == value for key, value in filter.items()))
        return [*islice(exact, limit)]

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return await self._file.read(partial(self._delta_history, config=config, channels=channels))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return self._file.read_now(partial(self._delta_history, config=config, channels=channels))

    def _delta_history(
        self, connection: sqlite3.Connection, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return StoredThreads(connection, self.serde).get_delta_channel_history(config=config, channels=channels)

    # ---------------------------------------------------------------- writing

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        await self._file.write(self._putting(config, checkpoint, metadata))
        return _config(_place(config, checkpoint["id"]))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        self._file.write_now(self._putting(config, checkpoint, metadata))
        return _config(_place(config, checkpoint["id"]))

    def _putting(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> Write:
        facts = get_checkpoint_metadata(*self.shown(config, metadata))
        text = json.dumps(facts, ensure_ascii=False, allow_nan=False).encode("utf-8", "ignore")
        parent_id = config["configurable"].get("checkpoint_id")
        row = (*_place(config, checkpoint["id"]), parent_id, *self.serde.dumps_typed(checkpoint), text)
        return partial(_put, where=config["configurable"], run_id=facts.get("run_id"), row=row)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._file.write(self._putting_writes(config, writes, task_id, task_path))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._file.write_now(self._putting_writes(config, writes, task_id, task_path))

    def _putting_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Write:
        place = _place(config, config["configurable"]["checkpoint_id"])
        rows = [
            (*place, task_id, WRITES_IDX_MAP.get(channel, idx), task_path, channel, *self.serde.dumps_typed(value))
            for idx, (channel, value) in enumerate(writes)
        ]
        # Errors, interrupts and answers are replaced, as LangGraph asks; what a task returned stays as it was first.
        conflict = "REPLACE" if all(channel in WRITES_IDX_MAP for channel, _ in writes) else "IGNORE"
        return partial(_put_writes, where=config["configurable"], place=place, rows=rows, conflict=conflict)

    # ---------------------------------------------------------------- copying and removing

    async def adelete_thread(self, thread_id: str) -> None:
        await self._file.write(partial(_delete_threads, thread_ids=[thread_id]))

    def delete_thread(self, thread_id: str) -> None:
        self._file.write_now(partial(_delete_threads, thread_ids=[thread_id]))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await self._file.write(partial(_delete_for_runs, run_ids=run_ids))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        self._file.write_now(partial(_delete_for_runs, run_ids=run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await self._file.write(partial(_copy, source=source_thread_id, target=target_thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self._file.write_now(partial(_copy, source=source_thread_id, target=target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await self._file.write(_pruning(thread_ids, strategy))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        self._file.write_now(_pruning(thread_ids, strategy))


def _place(config: RunnableConfig, checkpoint_id: str) -> Place:
    where = config["configurable"]
    return str(where["thread_id"]), where.get("checkpoint_ns", ""), checkpoint_id


def _config(place: Place) -> RunnableConfig:
    thread_id, namespace, checkpoint_id = place
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}


def _set_up(connection: sqlite3.Connection) -> None:
    SqliteSaver(connection).setup()
    for statement in TABLES:
        connection.execute(statement)


def _put(connection: sqlite3.Connection, *, where: Mapping[str, Any], run_id: str | None, row: Sequence[Any]) -> None:
    _expect_held(connection, where)
    if run_id is not None:
        connection.execute(NOTE, (run_id, where["thread_id"]))
    connection.execute(PUT, row)


def _put_writes(
    connection: sqlite3.Connection,
    *,
    where: Mapping[str, Any],
    place: Place,
    rows: Sequence[Sequence[Any]],
    conflict: str,
) -> None:
    _expect_held(connection, where)
    if (run_id := where.get("run_id")) is not None:
        connection.execute(NOTE, (run_id, where["thread_id"]))
        _remember(connection, run_id, place, rows)
    connection.executemany(PUT_WRITE.format(conflict=conflict), rows)


def _expect_held(connection: sqlite3.Connection, where: Mapping[str, Any]) -> None:
    token = where.get(FENCE_KEY)
    if token is not None and connection.execute(HELD, (where["run_id"], token)).fetchone() is None:
        raise LeaseLostError(f"The lease of run {where['run_id']} is lost: its checkpoint is not written")


def _remember(connection: sqlite3.Connection, run_id: str, place: Place, rows: Sequence[Sequence[Any]]) -> None:
    """Keep what these rows will replace, unless it goes with the run's own checkpoint."""
    connection.execute(FORGET_OTHERS, (place[0], run_id))
    if connection.execute(MADE, (*place, run_id)).fetchone() is None:
        connection.executemany(REMEMBER, [(*row[:5], run_id) for row in rows])


def _delete_threads(connection: sqlite3.Connection, *, thread_ids: Sequence[str]) -> None:
    for table in OF_A_THREAD:
        connection.executemany(f"DELETE FROM {table} WHERE thread_id = ?", [(thread_id,) for thread_id in thread_ids])


def _delete_for_runs(connection: sqlite3.Connection, *, run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        written = connection.execute("SELECT thread_id FROM fast_graph_writers WHERE run_id = ?", (run_id,)).fetchall()
        for (thread_id,) in written:
            _forget(connection, OF_RUN, (thread_id, run_id))
            for statement in UNDO:
                connection.execute(statement, (thread_id, run_id))
        connection.execute("DELETE FROM fast_graph_writers WHERE run_id = ?", (run_id,))


def _forget(connection: sqlite3.Connection, chosen: str, values: Sequence[str]) -> None:
    """Remove the checkpoints that a query chooses, and their writes."""
    for table in ("writes", "fast_graph_undo", "checkpoints"):
        statement = f"DELETE FROM {table} WHERE (thread_id, checkpoint_ns, checkpoint_id) IN ({chosen})"
        connection.execute(statement, values)


def _copy(connection: sqlite3.Connection, *, source: str, target: str) -> None:
    for statement in COPY:
        connection.execute(statement, {"source": source, "target": target})


def _pruning(thread_ids: Sequence[str], strategy: str) -> Write:
    if strategy == "delete":
        return partial(_delete_threads, thread_ids=thread_ids)
    if strategy == "keep_latest":
        return partial(_keep_latest, thread_ids=thread_ids)
    raise InvalidError(f"There is no pruning strategy {strategy!r}: choose keep_latest or delete")


def _keep_latest(connection: sqlite3.Connection, *, thread_ids: Sequence[str]) -> None:
    for thread_id in thread_ids:
        _forget(connection, NOT_LATEST, (thread_id,))
