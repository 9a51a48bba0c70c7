"""The graphs' long-term store in memory: LangGraph's own, made to keep copies and to forget empty namespaces."""

from collections.abc import Iterable
from copy import copy
from typing import cast

import orjson
from langgraph.store.base import GetOp, Item, Op, PutOp, Result, SearchOp
from langgraph.store.memory import InMemoryStore

from fast_graph.backends.filters import passes


class MemoryStore(InMemoryStore):
    """Values go in and come out as JSON would carry them: nobody shares an object with the store."""

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        wanted = [_copied(op) for op in ops]
        results = super().batch(wanted)
        self._forget_empty(wanted)
        return [_fresh(result) for result in results]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        wanted = [_copied(op) for op in ops]
        results = await super().abatch(wanted)
        self._forget_empty(wanted)
        return [_fresh(result) for result in results]

    def _filter_items(self, op: SearchOp) -> list[tuple[Item, list[list[float]]]]:
        """LangGraph's own fails where a value cannot be compared; here such an item does not pass."""
        if not op.filter:
            return super()._filter_items(op)
        everything = super()._filter_items(op._replace(filter=None, limit=-1))
        return [found for found in everything if passes(found[0].value, op.filter)]

    def _forget_empty(self, ops: list[Op]) -> None:
        for op in ops:
            if isinstance(op, PutOp | GetOp) and not self._data.get(op.namespace, True):
                del self._data[op.namespace]


def _copied(op: Op) -> Op:
    if isinstance(op, PutOp) and op.value is not None:
        return op._replace(value=orjson.loads(orjson.dumps(op.value)))
    return op


def _fresh(result: Result) -> Result:
    if isinstance(result, list):
        return cast(Result, [_detached(item) for item in result])
    return cast(Result, _detached(result))


def _detached(found: object) -> object:
    if not isinstance(found, Item):
        return found
    item = copy(found)
    item.value = orjson.loads(orjson.dumps(found.value))
    return item
