"""Use cases around the store: what graphs remember across threads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from langgraph.store.base import NOT_PROVIDED, BaseStore, InvalidNamespaceError, Item, SearchItem

from fast_graph.auth.policy import Caller, Policy
from fast_graph.model.errors import InvalidError, RefusedError
from fast_graph.model.records import Json

OPERATORS = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
ORDERS = frozenset({"$gt", "$gte", "$lt", "$lte"})
RESERVED_ROOT = "langgraph"


class Items:
    """Items by namespace and key, in the same store that graphs are given."""

    def __init__(self, store: BaseStore, *, policy: Policy) -> None:
        self._store = store
        self._policy = policy

    async def put(
        self,
        caller: Caller,
        namespace: Sequence[str],
        key: str,
        value: dict[str, Any],
        *,
        index: Literal[False] | list[str] | None,
        ttl: float | None,
    ) -> None:
        """Store a value under a key, in place of the one that is there."""
        asked: dict[str, Any] = {
            "namespace": _checked(namespace),
            "key": key,
            "value": value,
            "index": index,
            "ttl": ttl,
        }
        await self._policy.authorize(caller, "store", "put", asked)
        where, ttl = tuple(asked["namespace"]), self._ttl(asked["ttl"])
        with _namespaces_checked():
            await self._store.aput(where, asked["key"], asked["value"], index=asked["index"], ttl=ttl)

    def _ttl(self, ttl: float | None) -> Any:
        return ttl if ttl is not None and self._store.supports_ttl else NOT_PROVIDED

    async def get(self, caller: Caller, namespace: Sequence[str], key: str, *, refresh_ttl: bool | None) -> Item | None:
        """The item, or None."""
        asked: dict[str, Any] = {"namespace": tuple(namespace), "key": key}
        await self._policy.authorize(caller, "store", "get", asked)
        with _namespaces_checked():
            return await self._store.aget(tuple(asked["namespace"]), asked["key"], refresh_ttl=refresh_ttl)

    async def delete(self, caller: Caller, namespace: Sequence[str], key: str) -> None:
        """Remove the item, if it is there."""
        asked: dict[str, Any] = {"namespace": tuple(namespace), "key": key}
        await self._policy.authorize(caller, "store", "delete", asked)
        with _namespaces_checked():
            await self._store.adelete(tuple(asked["namespace"]), asked["key"])

    async def search(
        self,
        caller: Caller,
        prefix: Sequence[str],
        *,
        query: str | None,
        filter: Json | None,
        limit: int,
        offset: int,
        refresh_ttl: bool | None,
    ) -> Sequence[SearchItem]:
        """The items below a namespace whose values pass the filter, best first if there is a query."""
        _check_filter(filter or {})
        asked: dict[str, Any] = {
            "namespace": tuple(prefix),
            "filter": dict(filter) if filter else None,
            "limit": limit,
            "offset": offset,
            "query": query,
        }
        await self._policy.authorize(caller, "store", "search", asked)
        with _namespaces_checked():
            return await self._store.asearch(
                tuple(asked["namespace"]),
                query=asked["query"],
                filter=asked["filter"],
                limit=asked["limit"],
                offset=asked["offset"],
                refresh_ttl=refresh_ttl,
            )

    async def namespaces(
        self,
        caller: Caller,
        *,
        prefix: Sequence[str] | None,
        suffix: Sequence[str] | None,
        max_depth: int | None,
        limit: int,
        offset: int,
    ) -> Sequence[tuple[str, ...]]:
        """The namespaces that hold items, in order."""
        asked: dict[str, Any] = {
            "namespace": tuple(prefix) if prefix else None,
            "suffix": tuple(suffix) if suffix else None,
            "max_depth": max_depth,
            "limit": limit,
            "offset": offset,
        }
        await self._policy.authorize(caller, "store", "list_namespaces", asked)
        with _namespaces_checked():
            return await self._store.alist_namespaces(
                prefix=tuple(asked["namespace"]) if asked["namespace"] else None,
                suffix=asked["suffix"],
                max_depth=asked["max_depth"],
                limit=asked["limit"],
                offset=asked["offset"],
            )


@contextmanager
def _namespaces_checked() -> Iterator[None]:
    """Around the store, which knows namespaces that it does not take. Raises InvalidError."""
    try:
        yield
    except InvalidNamespaceError as error:
        raise InvalidError(str(error).replace("\0", "\\0")) from error


def _checked(namespace: Sequence[str]) -> tuple[str, ...]:
    if not namespace:
        raise RefusedError("A namespace needs at least one label")
    for label in namespace:
        if not label or "." in label:
            raise InvalidError(f"A namespace label is a non-empty string without periods, not {label[:80]!r}")
    if namespace[0] == RESERVED_ROOT:
        raise RefusedError(f"The root label '{RESERVED_ROOT}' is reserved: choose another")
    return tuple(namespace)


def _check_filter(wanted: Json) -> None:
    for condition in wanted.values():
        operators = [key for key in condition if key.startswith("$")] if isinstance(condition, dict) else []
        unknown = sorted(set(operators) - OPERATORS)
        if unknown:
            raise RefusedError(f"Unknown operator {unknown[0][:80]}: use one of {', '.join(sorted(OPERATORS))}")
        if operators and len(operators) < len(condition):
            raise RefusedError("A condition is either operators or a value to equal, not both")
        for operator in sorted(ORDERS.intersection(operators)):
            if not _is_number(condition[operator]):
                raise RefusedError(f"{operator} compares numbers, and this is not one: {condition[operator]!r}")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
