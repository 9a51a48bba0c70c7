"""The graphs' long-term store in a SQLite file: LangGraph's tables, and filters that mean what they mean in memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import orjson
from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    validate_op_namespace,
)
from langgraph.store.sqlite.base import MIGRATIONS, VECTOR_MIGRATIONS

from fast_graph.backends.filters import passes
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.backends.sqlite.vectors import NOTHING, Embedded, Vector, Vectors, add_functions
from fast_graph.model.clock import Clock

Namespace = tuple[str, ...]

GET = "SELECT value, created_at, updated_at FROM store WHERE prefix = ? AND key = ?"

ANYWHERE = "TRUE"
BELOW = "(prefix = :prefix OR prefix > :prefix || '.' AND prefix < :prefix || '/')"
"""A namespace and those within it: "/" is what follows "."."""
SEARCH = """SELECT prefix, key, value, created_at, updated_at, NULL FROM store WHERE {where}
    ORDER BY store.rowid LIMIT :limit OFFSET :offset"""
SEARCH_NEAREST = """SELECT prefix, key, value, store.created_at, store.updated_at,
        max(fast_graph_similarity(embedding, :vector)) AS score
    FROM store LEFT JOIN store_vectors USING (prefix, key) WHERE {where}
    GROUP BY prefix, key ORDER BY score DESC, store.rowid LIMIT :limit OFFSET :offset"""

PUT = """INSERT INTO store (prefix, key, value, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (prefix, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"""
PUT_VECTOR = "INSERT INTO store_vectors (prefix, key, field_name, embedding) VALUES (?, ?, ?, ?)"
DELETE = "DELETE FROM store WHERE prefix = ? AND key = ?"
DELETE_VECTORS = "DELETE FROM store_vectors WHERE prefix = ? AND key = ?"


class SqliteStore(BaseStore):
    """Values go in and come out as JSON carries them. With ``index``, what they say can be searched by its meaning."""

    def __init__(self, file: SqliteFile, clock: Clock, *, index: IndexConfig | None = None) -> None:
        self._file = file
        self._clock = clock
        self._vectors = Vectors(index) if index is not None else None

    async def setup(self) -> None:
        """Make the tables, or bring LangGraph's up to date."""
        await self._file.write(partial(_migrate, table="store_migrations", migrations=MIGRATIONS))
        if self._vectors is not None:
            await self._file.write(add_functions)
            await self._file.read(add_functions)
            await self._file.write(partial(_migrate, table="vector_migrations", migrations=VECTOR_MIGRATIONS))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        wanted = [_checked(op) for op in ops]
        embedded = await self._vectors.aembed(wanted) if self._vectors is not None else NOTHING
        work = partial(self._answer, ops=wanted, embedded=embedded)
        return await (self._file.write(work) if _changes(wanted) else self._file.read(work))

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        wanted = [_checked(op) for op in ops]
        embedded = self._vectors.embed(wanted) if self._vectors is not None else NOTHING
        work = partial(self._answer, ops=wanted, embedded=embedded)
        return self._file.write_now(work) if _changes(wanted) else self._file.read_now(work)

    def _answer(self, connection: sqlite3.Connection, *, ops: Sequence[Op], embedded: Embedded) -> list[Result]:
        """Everything is read before anything is put, as LangGraph's stores do."""
        results = [_read(connection, op, embedded) for op in ops]
        for op in ops:
            if isinstance(op, PutOp):
                self._put(connection, op, embedded)
        return results

    def _put(self, connection: sqlite3.Connection, op: PutOp, embedded: Embedded) -> None:
        where = (_joined(op.namespace), op.key)
        if self._vectors is not None:
            connection.execute(DELETE_VECTORS, where)
        if op.value is None:
            connection.execute(DELETE, where)
            return
        now = self._clock().isoformat(timespec="microseconds")
        connection.execute(PUT, (*where, orjson.dumps(op.value).decode(), now, now))
        if self._vectors is not None:
            texts = self._vectors.texts(op)
            connection.executemany(PUT_VECTOR, [(*where, field, embedded.texts[text]) for field, text in texts])


def _migrate(connection: sqlite3.Connection, *, table: str, migrations: Sequence[str]) -> None:
    """What LangGraph's own stores do to set up, in one transaction."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (v INTEGER PRIMARY KEY)")
    [(done,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    for version, statement in enumerate(migrations[done:], start=done):
        connection.execute(statement)
        connection.execute(f"INSERT INTO {table} (v) VALUES (?)", (version,))


def _checked(op: Op) -> Op:
    """The operation with a copy of its value. Raises TypeError for what is not JSON."""
    validate_op_namespace(op)
    if isinstance(op, PutOp) and op.value is not None:
        return op._replace(value=orjson.loads(orjson.dumps(op.value)))
    return op


def _changes(ops: Iterable[Op]) -> bool:
    return any(isinstance(op, PutOp) for op in ops)


def _read(connection: sqlite3.Connection, op: Op, embedded: Embedded) -> Result:
    match op:
        case GetOp():
            return _get(connection, op)
        case SearchOp():
            return _search(connection, op, embedded.queries.get(op.query or ""))
        case ListNamespacesOp():
            return _namespaces(connection, op)
        case _:
            return None


def _get(connection: sqlite3.Connection, op: GetOp) -> Item | None:
    row = connection.execute(GET, (_joined(op.namespace), op.key)).fetchone()
    if row is None:
        return None
    value, created_at, updated_at = row
    return Item(
        value=orjson.loads(value), key=op.key, namespace=op.namespace, created_at=created_at, updated_at=updated_at
    )


def _search(connection: sqlite3.Connection, op: SearchOp, vector: Vector | None) -> list[SearchItem]:
    # A filter is not SQLite's to understand: what does not pass must not count.
    limit, offset = (-1, 0) if op.filter else (op.limit, op.offset)
    values = {"prefix": _joined(op.namespace_prefix), "limit": limit, "offset": offset, "vector": vector}
    statement = SEARCH if vector is None else SEARCH_NEAREST
    rows = connection.execute(statement.format(where=BELOW if op.namespace_prefix else ANYWHERE), values)
    found = (_item(*row) for row in rows)
    if not op.filter:
        return list(found)
    wanted = op.filter
    return list(islice((item for item in found if passes(item.value, wanted)), op.offset, op.offset + op.limit))


def _item(prefix: str, key: str, value: str, created_at: Any, updated_at: Any, score: float | None) -> SearchItem:
    return SearchItem(_split(prefix), key, orjson.loads(value), created_at, updated_at, score)


def _namespaces(connection: sqlite3.Connection, op: ListNamespacesOp) -> list[Namespace]:
    conditions = op.match_conditions or ()
    held = (_split(prefix) for (prefix,) in connection.execute("SELECT DISTINCT prefix FROM store"))
    found = {namespace[: op.max_depth] for namespace in held if all(_matches(one, namespace) for one in conditions)}
    return sorted(found)[op.offset : op.offset + op.limit]


def _matches(condition: MatchCondition, namespace: Namespace) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))


def _joined(namespace: Namespace) -> str:
    return ".".join(namespace)


def _split(prefix: str) -> Namespace:
    return tuple(prefix.split("."))
