"""The graphs' long-term store in memory: LangGraph's own, made to keep copies and to forget empty namespaces."""

import operator
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, cast

import orjson
from langgraph.store.base import GetOp, Item, Op, PutOp, Result, SearchOp
from langgraph.store.memory import InMemoryStore


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
        wanted = op.filter.items()
        return [
            found
            for found in everything
            if all(_passes(found[0].value.get(key), condition) for key, condition in wanted)
        ]

    def _forget_empty(self, ops: list[Op]) -> None:
        for op in ops:
            if isinstance(op, PutOp | GetOp) and not self._data.get(op.namespace, True):
                del self._data[op.namespace]


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _passes(value: Any, condition: Any) -> bool:
    if not isinstance(condition, dict):
        return bool(value == condition)
    if any(name in COMPARISONS for name in condition):
        return all(_holds(name, value, operand) for name, operand in condition.items())
    return isinstance(value, dict) and all(_passes(value.get(key), wanted) for key, wanted in condition.items())


def _holds(name: str, value: Any, operand: Any) -> bool:
    if name not in COMPARISONS:
        raise ValueError(f"There is no operator {name}")
    try:
        return bool(COMPARISONS[name](value, operand))
    except TypeError:  # one of the two has no order: an item without the key, say
        return False


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
