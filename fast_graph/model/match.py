"""How a filter is held against JSON: containment, and the operators that auth handlers return."""

from collections.abc import Mapping
from typing import Any

from fast_graph.model.records import Json


def contains(value: Any, wanted: Any) -> bool:
    """Whether ``value`` holds everything in ``wanted``: objects by key, lists by member, the rest by equality."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(k in value and contains(value[k], v) for k, v in wanted.items())
    if isinstance(wanted, list) and isinstance(value, list):
        return all(any(contains(item, want) for item in value) for want in wanted)
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def in_scope(metadata: Json, scope: Json) -> bool:
    """Whether a row with this metadata exists for a caller limited to ``scope``."""
    return all(_satisfies(metadata.get(key), condition) for key, condition in scope.items())


def _satisfies(value: Any, condition: Any) -> bool:
    if not isinstance(condition, Mapping):
        return bool(value == condition)
    return all(_OPERATORS[name](value, operand) for name, operand in condition.items())


def _contains_all(value: Any, operand: Any) -> bool:
    wanted = operand if isinstance(operand, list | tuple) else [operand]
    return isinstance(value, list) and all(want in value for want in wanted)


_OPERATORS = {"$eq": lambda value, operand: value == operand, "$contains": _contains_all}
