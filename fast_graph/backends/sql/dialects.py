"""What JSON can be asked, as each database says it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, cast, false, func, literal, or_, true

from fast_graph.backends.sql.types import Json, json_text
from fast_graph.model.match import check_scope, contains, in_scope
from fast_graph.model.records import Scope

Condition = ColumnElement[bool]


class JsonDialect(ABC):
    """Conditions on JSON columns. ``model.match`` says what they mean."""

    @abstractmethod
    def contains(self, column: ColumnElement[Any], wanted: Any) -> Condition:
        """The column holds everything in ``wanted``."""

    @abstractmethod
    def in_scope(self, column: ColumnElement[Any], scope: Scope) -> Condition:
        """The row with this metadata exists for a caller limited to ``scope``."""

    @abstractmethod
    def merged(self, column: ColumnElement[Any], changes: Mapping[str, Any]) -> ColumnElement[Any]:
        """The column's object with these keys replaced."""


class PostgresJson(JsonDialect):
    """PostgreSQL's jsonb operators, which its indexes know."""

    def contains(self, column: ColumnElement[Any], wanted: Any) -> Condition:
        return column.op("@>", is_comparison=True)(_jsonb(wanted))

    def in_scope(self, column: ColumnElement[Any], scope: Scope) -> Condition:
        check_scope(scope)
        conditions = [self._satisfies(column, key, condition) for key, condition in scope.items()]
        return and_(true(), *conditions)

    def _satisfies(self, column: ColumnElement[Any], key: str, condition: Any) -> Condition:
        if not isinstance(condition, Mapping):
            return self._equals(column, key, condition)
        found = [self._operator(name)(column, key, operand) for name, operand in condition.items()]
        return and_(true(), *found)

    def _operator(self, name: str) -> Any:
        return {"$eq": self._equals, "$contains": self._has_member, "$in": self._is_one_of}[name]

    def _equals(self, column: ColumnElement[Any], key: str, value: Any) -> Condition:
        exact = func.coalesce(_at(column, key), _jsonb(None)) == _jsonb(value)
        # Containment says less, but the index knows it.
        return exact if value is None else and_(self.contains(column, {key: value}), exact)

    def _has_member(self, column: ColumnElement[Any], key: str, operand: Any) -> Condition:
        wanted = list(operand) if isinstance(operand, list | tuple) else [operand]
        is_list = func.jsonb_typeof(_at(column, key)) == "array"
        return and_(is_list, self.contains(column, {key: wanted}))

    def _is_one_of(self, column: ColumnElement[Any], key: str, operand: Any) -> Condition:
        return or_(false(), *[self._equals(column, key, one) for one in operand])

    def merged(self, column: ColumnElement[Any], changes: Mapping[str, Any]) -> ColumnElement[Any]:
        return column.op("||")(_jsonb(changes))


def _jsonb(value: Any) -> ColumnElement[Any]:
    return cast(literal(json_text(value)), Json)


def _at(column: ColumnElement[Any], key: str) -> ColumnElement[Any]:
    return column.op("->")(literal(key))


class SqliteJson(JsonDialect):
    """Functions of ours that every connection is given: SQLite has no such operators."""

    FUNCTIONS: Mapping[str, Any] = {
        "fast_graph_contains": lambda text, wanted: text is not None and contains(_load(text), _load(wanted)),
        "fast_graph_in_scope": lambda text, scope: in_scope(_load(text), _load(scope)),
        "fast_graph_merged": lambda text, changes: json_text({**_load(text), **_load(changes)}),
    }

    def contains(self, column: ColumnElement[Any], wanted: Any) -> Condition:
        return func.fast_graph_contains(column, json_text(wanted)) == 1

    def in_scope(self, column: ColumnElement[Any], scope: Scope) -> Condition:
        check_scope(scope)
        return func.fast_graph_in_scope(column, json_text(scope)) == 1 if scope else true()

    def merged(self, column: ColumnElement[Any], changes: Mapping[str, Any]) -> ColumnElement[Any]:
        return func.fast_graph_merged(column, json_text(changes))


def _load(text: str) -> Any:
    return orjson.loads(text)
