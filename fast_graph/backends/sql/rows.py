"""Rows to records and back."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Column, ColumnElement, Row, Select, Table, asc, desc, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fast_graph.backends.sql.tables import assistants, runs, threads
from fast_graph.model.queries import Paging
from fast_graph.model.records import Assistant, Page, Run, Thread

R = TypeVar("R")


class Layout(Generic[R]):
    """How records of one kind lie in a table: each field in the column of its name."""

    def __init__(self, kind: type[R], table: Table) -> None:
        self._kind = kind
        self._names = [field.name for field in fields(cast(Any, kind))]
        self.columns: Sequence[Column[Any]] = [table.c[name] for name in self._names]
        self._new = kind.__new__

    def record(self, row: Row[Any] | Sequence[Any]) -> R:
        """The record of a row that begins with ``columns``."""
        # It was checked when it was written; ``__init__`` of a frozen dataclass would double the cost of a read.
        record = self._new(self._kind)
        record.__dict__.update(zip(self._names, row, strict=False))
        return record

    def values(self, record: R) -> dict[str, Any]:
        """The record as column values."""
        return dict(record.__dict__)

    async def page(self, connection: AsyncConnection, where: Select[Any], paging: Paging, key: Column[Any]) -> Page[R]:
        """One page of what ``where`` finds, and how much there is in all."""
        found = where.order_by(*_order(paging, key)).limit(paging.limit).offset(paging.offset)
        rows = [self.record(row) for row in await connection.execute(found)]
        whole_tail = len(rows) < paging.limit and (rows or not paging.offset)
        total = paging.offset + len(rows) if whole_tail else await _count(connection, where)
        return Page(rows=rows, total=total)


async def _count(connection: AsyncConnection, where: Select[Any]) -> int:
    return int(await connection.scalar(select(func.count()).select_from(where.subquery())) or 0)


def _order(paging: Paging, key: Column[Any]) -> Sequence[ColumnElement[Any]]:
    direction = desc if paging.sort_order == "desc" else asc
    named = key.table.c.get(paging.sort_by)
    return [direction(key)] if named is None or named is key else [direction(named), direction(key)]


ASSISTANTS = Layout(Assistant, assistants)
THREADS = Layout(Thread, threads)
RUNS = Layout(Run, runs)
