"""The graphs' long-term store of any backend, with values encrypted. Namespaces and keys stay as they are."""

from collections.abc import Iterable
from copy import copy
from typing import Any, cast

from langgraph.store.base import BaseStore, Item, Op, PutOp, Result, SearchOp

from fast_graph.backends.sealed.records import Seals
from fast_graph.model.errors import InvalidError


class SealedStore(BaseStore):
    """Items are found by namespace and key; raises InvalidError when asked for any by what it says."""

    def __init__(self, store: BaseStore, seals: Seals) -> None:
        self._store = store
        self._seals = seals
        self.supports_ttl = store.supports_ttl
        self.ttl_config = store.ttl_config

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return [self._opened(result) for result in self._store.batch([self._sealed(op) for op in ops])]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return [self._opened(result) for result in await self._store.abatch([self._sealed(op) for op in ops])]

    def _sealed(self, op: Op) -> Op:
        if isinstance(op, PutOp) and op.value is not None:
            return op._replace(value=self._seals.seal_json(op.value), index=False)
        if isinstance(op, SearchOp) and op.filter:
            raise InvalidError("Items cannot be filtered by their values, which are encrypted: search by namespace")
        # What a query means, no store can find in what nobody can read; without an index it means nothing anyway.
        return op._replace(query=None) if isinstance(op, SearchOp) else op

    def _opened(self, result: Result) -> Result:
        if isinstance(result, list):
            return cast(Result, [self._item(found) for found in result])
        return cast(Result, self._item(result))

    def _item(self, found: Any) -> Any:
        if not isinstance(found, Item):
            return found
        item = copy(found)
        item.value = self._seals.open_json(found.value)
        return item
