"""Stream logs in a SQLite file. What is committed counts; readers are told of it within the process.

An append is one row that holds the whole batch. A reader is woken in memory and reads from the file, so that what a
run said takes no memory, however slow its readers are.
"""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import orjson
import ormsgpack

from fast_graph.backends.live import LiveLog
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.model.clock import Clock
from fast_graph.model.errors import LeaseLostError, StreamTruncatedError
from fast_graph.model.lifecycle import INFLIGHT
from fast_graph.model.records import Event, Lease, Record

READ_BYTES = 1024 * 1024
"""About how much a reader takes from the file at a time."""

SWEPT, SWEPT_BYTES = 16, 16 * 1024 * 1024
"""How many logs are removed in one transaction, and about how much text: nobody else can write meanwhile."""

NOTHING = b"{}"

TABLES = (
    # `result` is there once the log is closed, and `kept_until` while a closed one can still be read.
    """CREATE TABLE IF NOT EXISTS fast_graph_streams (
        run_id TEXT PRIMARY KEY,
        token INTEGER NOT NULL,
        last_seq INTEGER NOT NULL DEFAULT 0,
        last_ms INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL DEFAULT 0,
        result BLOB,
        kept_until REAL
    )""",
    """CREATE TABLE IF NOT EXISTS fast_graph_stream_batches (
        run_id TEXT NOT NULL,
        last_seq INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        ms INTEGER NOT NULL,
        size INTEGER NOT NULL,
        events BLOB NOT NULL,
        PRIMARY KEY (run_id, last_seq)
    )""",
    """CREATE INDEX IF NOT EXISTS fast_graph_streams_kept ON fast_graph_streams (kept_until)
        WHERE kept_until IS NOT NULL""",
    """CREATE INDEX IF NOT EXISTS fast_graph_streams_over ON fast_graph_streams (run_id)
        WHERE result IS NOT NULL AND kept_until IS NULL""",
)

END_ORPHANS = f"""UPDATE fast_graph_streams SET result = :result, kept_until = :kept_until
    WHERE result IS NULL AND run_id NOT IN (
        SELECT run_id FROM fast_graph_runs WHERE status IN ({", ".join(f"'{status}'" for status in sorted(INFLIGHT))})
    )"""

OPEN = """INSERT INTO fast_graph_streams (run_id, token) VALUES (?, ?)
    ON CONFLICT (run_id) DO UPDATE SET token = excluded.token WHERE token <= excluded.token RETURNING token"""

GROW = """UPDATE fast_graph_streams
    SET last_seq = last_seq + :count, last_ms = max(last_ms, :ms), size = size + :size
    WHERE run_id = :run_id AND token = :token AND result IS NULL RETURNING last_seq, last_ms, size"""

APPEND = """INSERT INTO fast_graph_stream_batches (run_id, last_seq, first_seq, ms, size, events)
    VALUES (?, ?, ?, ?, ?, ?)"""

OLDEST = "SELECT last_seq, size FROM fast_graph_stream_batches WHERE run_id = ? AND last_seq < ? ORDER BY last_seq"
DROP_UP_TO = "DELETE FROM fast_graph_stream_batches WHERE run_id = ? AND last_seq <= ?"
SHRINK = "UPDATE fast_graph_streams SET size = ? WHERE run_id = ?"

HEAD = """SELECT last_seq, result FROM fast_graph_streams
    WHERE run_id = :run_id AND (result IS NULL OR kept_until > :now)"""
FIRST_KEPT = "SELECT first_seq FROM fast_graph_stream_batches WHERE run_id = ? ORDER BY last_seq LIMIT 1"
REST = """SELECT first_seq, ms, events FROM fast_graph_stream_batches
    WHERE run_id = ? AND last_seq > ? ORDER BY last_seq"""

CLOSE = """UPDATE fast_graph_streams SET result = :result, kept_until = :kept_until
    WHERE run_id = :run_id AND result IS NULL RETURNING result"""
CLOSE_FOLLOWED = """INSERT INTO fast_graph_streams (run_id, token, result, kept_until)
    VALUES (:run_id, 0, :result, :kept_until)
    ON CONFLICT (run_id) DO UPDATE SET result = excluded.result, kept_until = excluded.kept_until
    WHERE result IS NULL RETURNING result"""

EXPIRE = "UPDATE fast_graph_streams SET kept_until = NULL WHERE kept_until <= ?"
MAKE_ROOM = """UPDATE fast_graph_streams SET kept_until = NULL WHERE run_id IN (
        SELECT run_id FROM (
            SELECT run_id, sum(size) OVER (ORDER BY kept_until DESC, rowid DESC) AS with_newer
            FROM fast_graph_streams WHERE kept_until IS NOT NULL
        ) WHERE with_newer > ?
    )"""
OVER = """SELECT run_id, size FROM fast_graph_streams
    WHERE result IS NOT NULL AND kept_until IS NULL AND run_id NOT IN (SELECT value FROM json_each(?)) LIMIT ?"""


@dataclass(frozen=True, kw_only=True)
class StreamBounds:
    """How much is kept of what runs say."""

    stream_bytes: int = 64 * 1024 * 1024
    """Text kept of one run's stream; the oldest batches of events go."""
    kept_stream_bytes: int = 256 * 1024 * 1024
    """Text kept of all finished resumable streams; the oldest streams go."""
    stream_ttl: float = 120.0
    """Seconds a finished resumable stream can still be read."""


class Stored(NamedTuple):
    """What the file has of a log for those who begin to read it."""

    last_seq: int
    first_seq: int
    """Of what is kept."""
    result: bytes | None


class SqliteReader:
    """A reader of one log. Knows the number of the last record it was given."""

    def __init__(self, file: SqliteFile, live: LiveLog, run_id: str, after: int) -> None:
        self._file, self._live, self._run_id, self._after = file, live, run_id, after

    async def batch(self, *, idle: float) -> Sequence[Record] | None:
        while self._live.last_seq <= self._after:
            if self._live.closed:
                return None
            if not await self._live.change(idle):
                return ()
        return await self._next()

    async def _next(self) -> Sequence[Record]:
        records = await self._file.read(partial(_rest, run_id=self._run_id, after=self._after))
        if not records or records[0].seq > self._after + 1:
            raise StreamTruncatedError(f"Event {self._after + 1} of run {self._run_id} is no longer kept")
        self._after = records[-1].seq
        return records

    async def result(self, *, idle: float) -> bytes | None:
        return await self._live.outcome(idle)


class SqliteStreams:
    """The StreamLog port. A fence holds, and events get their numbers, in the transaction that appends them."""

    def __init__(self, file: SqliteFile, clock: Clock, bounds: StreamBounds) -> None:
        self._file = file
        self._clock = clock
        self._bounds = bounds
        self._followed: dict[str, LiveLog] = {}

    async def setup(self) -> None:
        """Make the tables and remove what is over. The table of runs must be there, and nobody may follow yet.

        Logs of runs that ended, though nobody was left to close them, are closed and kept for a while.
        """
        ending = {"result": NOTHING, "kept_until": self._now() + self._bounds.stream_ttl}
        await self._file.write(partial(_set_up, ending=ending))
        while await self._sweep():
            pass

    async def open(self, lease: Lease) -> None:
        await self._file.write(partial(_open, lease=lease))

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        ms = int(self._now() * 1000)
        work = partial(_append, lease=lease, events=events, ms=ms, most=self._bounds.stream_bytes)
        await self._file.write(work, then=partial(self._appended, lease.run.run_id))

    def _appended(self, run_id: str, last_seq: int) -> None:
        if (live := self._followed.get(run_id)) is not None:
            live.last_seq = max(live.last_seq, last_seq)
            live.wake()

    @asynccontextmanager
    async def follow(self, run_id: str, *, after: int | None, fresh: bool = False) -> AsyncIterator[SqliteReader]:
        live = self._followed.setdefault(run_id, LiveLog())
        live.readers += 1
        try:
            yield SqliteReader(self._file, live, run_id, await self._start(live, run_id, after))
        finally:
            live.readers -= 1
            if not live.readers:
                del self._followed[run_id]

    async def _start(self, live: LiveLog, run_id: str, after: int | None) -> int:
        """The number after which a reader begins: from now on, from the first that is kept, or where it left off."""
        stored = await self._file.read(partial(_stored, run_id=run_id, now=self._now()))
        live.last_seq = max(live.last_seq, stored.last_seq)
        if stored.result is not None and not live.closed:
            live.closed, live.result = True, stored.result
        if after is None:
            return live.last_seq
        return stored.first_seq - 1 if after == 0 else after

    async def close(self, run_id: str, result: bytes, *, keep: bool) -> None:
        kept_until = self._now() + self._bounds.stream_ttl if keep else None
        ending = {"run_id": run_id, "result": result, "kept_until": kept_until}
        # A log that was never opened is closed for those who wait for it, and otherwise there is nothing to close.
        statement = CLOSE_FOLLOWED if run_id in self._followed else CLOSE
        work = partial(_close, statement=statement, ending=ending)
        await self._file.write(work, then=partial(self._closed, run_id))
        # A transaction later: whoever came to follow meanwhile may read to the end.
        await self._sweep()

    def _closed(self, run_id: str, result: bytes | None) -> None:
        if result is not None and (live := self._followed.get(run_id)) is not None:
            live.closed, live.result = True, result
            live.wake()

    async def _sweep(self) -> bool:
        """Remove some of what nobody reads and nobody keeps; whether there was any."""
        followed = orjson.dumps(list(self._followed)).decode()
        most = self._bounds.kept_stream_bytes
        return await self._file.write(partial(_sweep, followed=followed, now=self._now(), most=most))

    def _now(self) -> float:
        return self._clock().timestamp()


def _set_up(connection: sqlite3.Connection, *, ending: Mapping[str, object]) -> None:
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(END_ORPHANS, ending)


def _open(connection: sqlite3.Connection, *, lease: Lease) -> None:
    if connection.execute(OPEN, (lease.run.run_id, lease.token)).fetchone() is None:
        raise LeaseLostError(f"A newer lease has opened the stream of run {lease.run.run_id}")


def _append(connection: sqlite3.Connection, *, lease: Lease, events: Sequence[Event], ms: int, most: int) -> int:
    """Add a batch under the next numbers; the last of them."""
    run_id, size = lease.run.run_id, sum(len(event.data) for event in events)
    growth = {"run_id": run_id, "token": lease.token, "count": len(events), "size": size, "ms": ms}
    grown = connection.execute(GROW, growth).fetchone()
    if grown is None:
        raise LeaseLostError(f"The stream of run {run_id} is closed to {lease.worker}")
    last_seq, ms, kept = grown
    if events:
        batch = ormsgpack.packb([tuple(event) for event in events])
        connection.execute(APPEND, (run_id, last_seq, last_seq - len(events) + 1, ms, size, batch))
    if kept > most:
        _trim(connection, run_id, last_seq, kept, most)
    return int(last_seq)


def _trim(connection: sqlite3.Connection, run_id: str, last_seq: int, kept: int, most: int) -> None:
    """Drop the oldest batches until the rest fits; the newest one stays, however large."""
    dropped = 0
    for seq, size in connection.execute(OLDEST, (run_id, last_seq)):
        dropped, kept = seq, kept - size
        if kept <= most:
            break
    connection.execute(DROP_UP_TO, (run_id, dropped))
    connection.execute(SHRINK, (kept, run_id))


def _stored(connection: sqlite3.Connection, *, run_id: str, now: float) -> Stored:
    last_seq, result = connection.execute(HEAD, {"run_id": run_id, "now": now}).fetchone() or (0, None)
    [first_seq] = connection.execute(FIRST_KEPT, (run_id,)).fetchone() or (1,)
    return Stored(last_seq, first_seq, result)


def _rest(connection: sqlite3.Connection, *, run_id: str, after: int) -> Sequence[Record]:
    """What is kept after a number, as far as can be taken at a time."""
    found: list[Record] = []
    size = 0
    for first_seq, ms, batch in connection.execute(REST, (run_id, after)):
        events = enumerate(ormsgpack.unpackb(batch), start=first_seq)
        found += [Record(seq, ms, name, data) for seq, (name, data) in events if seq > after]
        size += len(batch)
        if size >= READ_BYTES:
            break
    return found


def _close(connection: sqlite3.Connection, *, statement: str, ending: Mapping[str, object]) -> bytes | None:
    """End the log; its result, unless there was nothing to end."""
    closed = connection.execute(statement, ending).fetchone()
    return None if closed is None else bytes(closed[0])


def _sweep(connection: sqlite3.Connection, *, followed: str, now: float, most: int) -> bool:
    connection.execute(EXPIRE, (now,))
    connection.execute(MAKE_ROOM, (most,))
    over, removed = connection.execute(OVER, (followed, SWEPT)).fetchall(), 0
    for run_id, size in over:
        for table in ("fast_graph_stream_batches", "fast_graph_streams"):
            connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        removed += size
        if removed >= SWEPT_BYTES:
            break
    return bool(over)
