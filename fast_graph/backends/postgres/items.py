"""The graphs' long-term store in PostgreSQL: LangGraph's own, with the filters and the manners of the one in memory."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import orjson
from langgraph.store.base import BaseStore, GetOp, Op, PutOp, Result, SearchOp
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig
from psycopg import DataError
from psycopg.errors import FeatureNotSupported, InsufficientPrivilege, UndefinedFile

from fast_graph.backends.postgres.pool import Connections
from fast_graph.backends.sql.types import json_text, storable
from fast_graph.model.errors import ConfigurationError, InvalidError

ORDERS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
COMPARISONS = {"$eq", "$ne", *ORDERS}
NEWEST_FIRST, OLDEST_FIRST = "ORDER BY store.updated_at DESC", "ORDER BY store.created_at, store.prefix, store.key"
Condition = tuple[str, list[Any]]
"""A piece of SQL and its parameters."""


class PostgresStore(BaseStore):
    """Values go in and come out as JSON carries them. Items do not expire.

    ``index`` makes them searchable by meaning, for which the database needs the extension pgvector.
    """

    def __init__(self, connections: Connections, *, index: PostgresIndexConfig | None = None) -> None:
        self._connections = connections
        self._index = index

    async def setup(self) -> None:
        """Make the tables, or bring them up to date; see the checkpointer's. Raises ConfigurationError."""
        try:
            await self._connections.reach(lambda: self._official.setup(), within=None)
        except (FeatureNotSupported, InsufficientPrivilege, UndefinedFile) as error:
            if self._index is None:
                raise
            raise ConfigurationError(
                "Searching the store by meaning needs the extension pgvector: install it in PostgreSQL, run CREATE "
                "EXTENSION vector as a superuser, or configure no index"
            ) from error

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        wanted = [_prepared(op) for op in ops]
        try:
            return await self._connections.reach(lambda: self._official.abatch(wanted))
        except DataError as error:
            raise InvalidError("PostgreSQL cannot keep this item: a key or a namespace has a NUL character") from error

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return self._connections.from_thread(self.abatch(ops))

    @cached_property
    def _official(self) -> "_Official":
        return _Official(self._connections.pool, index=self._index)  # it needs a running loop


class _Official(AsyncPostgresStore):
    """LangGraph's store, which filters and orders as the one in memory does, and has no task of its own."""

    def _ensure_task(self) -> None:
        """It gathers single operations for ``abatch``, which is all that is used here."""

    def _get_filter_condition(self, key: str, op: str, value: Any) -> tuple[str, list[Any]]:
        return _condition([key], value)

    def _prepare_batch_search_queries(self, search_ops: Sequence[tuple[int, SearchOp]]) -> Any:
        """Without a query, items come in an order that no change to one of them changes: pages fit together."""
        queries, texts = super()._prepare_batch_search_queries(search_ops)
        return [(query.replace(NEWEST_FIRST, OLDEST_FIRST), given) for query, given in queries], texts


def _prepared(op: Op) -> Op:
    """The operation as it is carried out; a put's value is nobody else's. Raises TypeError if that is not JSON."""
    if isinstance(op, PutOp) and op.value is not None:
        return op._replace(value=orjson.loads(storable(orjson.dumps(op.value))))
    if isinstance(op, SearchOp) and op.filter:
        # LangGraph's store takes a condition per operator; ours is told everything at once.
        return op._replace(refresh_ttl=False, filter={key: {"": value} for key, value in op.filter.items()})
    if isinstance(op, GetOp | SearchOp):
        return op._replace(refresh_ttl=False)
    return op


def _condition(path: Sequence[str], wanted: Any) -> Condition:
    """Whether the value at a path passes; one that is missing is like null."""
    if not isinstance(wanted, dict):
        return _comparison(path, "$eq", wanted)
    if not COMPARISONS.isdisjoint(wanted):
        return _all([_comparison(path, name, operand) for name, operand in wanted.items()])
    found, keys = _found(path)
    parts = [_condition([*path, key], value) for key, value in wanted.items()]
    return _all([(f"coalesce(jsonb_typeof({found}) = 'object', false)", keys), *parts])


def _comparison(path: Sequence[str], name: str, operand: Any) -> Condition:
    found, keys = _found(path)
    if name in ORDERS:
        return _order(path, ORDERS[name], operand)
    if name not in COMPARISONS:
        raise ValueError(f"There is no operator {name}")
    sign = "=" if name == "$eq" else "<>"
    return f"coalesce({found}, 'null') {sign} %s::jsonb", [*keys, json_text(operand)]


def _order(path: Sequence[str], sign: str, operand: Any) -> Condition:
    """Only numbers and strings have an order, each among themselves; strings by code point."""
    found, keys = _found(path)
    if isinstance(operand, str):
        text = f"({found} #>> '{{}}') COLLATE \"C\""
        return f"(jsonb_typeof({found}) = 'string' AND {text} {sign} %s)", [
            *keys,
            *keys,
            operand.replace("\0", "\ufffd"),
        ]
    if isinstance(operand, int | float) and not isinstance(operand, bool):
        return f"(jsonb_typeof({found}) = 'number' AND {found} {sign} %s::jsonb)", [*keys, *keys, json_text(operand)]
    return "false", []


def _found(path: Sequence[str]) -> Condition:
    return "value" + " -> %s::text" * len(path), list(path)


def _all(conditions: Sequence[Condition]) -> Condition:
    return " AND ".join(text for text, _ in conditions), [value for _, values in conditions for value in values]
