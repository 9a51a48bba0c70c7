"""How a filter is held against JSON: containment, and the operators that auth handlers return."""

from collections.abc import Mapping
from typing import Any

from fast_graph.model.errors import ConfigurationError
from fast_graph.model.records import Json


def contains(value: Any, wanted: Any) -> bool:
    """Whether ``value`` holds everything in ``wanted``: objects by key, lists by member, the rest by equality."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(k in value and contains(value[k], v) for k, v in wanted.items())
    if isinstance(wanted, list) and isinstance(value, list):
        return all(any(contains(item, want) for item in value) for want in wanted)
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def check_scope(scope: Json) -> None:
    """Raises ConfigurationError for an operator that no store knows: a filter half understood would show too much."""
    for key, condition in scope.items():
        unknown = sorted(map(str, set(condition) - OPERATORS)) if isinstance(condition, Mapping) else []
        if unknown or key.startswith("$"):
            name = unknown[0] if unknown else key
            raise ConfigurationError(f"A filter has the unknown operator {name!r}: use {', '.join(sorted(OPERATORS))}")


def in_scope(metadata: Json, scope: Json) -> bool:
    """Whether a row with this metadata exists for a caller limited to ``scope``. Raises ConfigurationError."""
    check_scope(scope)
    return all(_satisfies(metadata.get(key), condition) for key, condition in scope.items())


def _satisfies(value: Any, condition: Any) -> bool:
    if not isinstance(condition, Mapping):
        return bool(value == condition)
    return all(_OPERATORS[name](value, operand) for name, operand in condition.items())


def _contains_all(value: Any, operand: Any) -> bool:
    wanted = operand if isinstance(operand, list | tuple) else [operand]
    return isinstance(value, list) and all(want in value for want in wanted)


def _is_one_of(value: Any, operand: Any) -> bool:
    return any(_equals(value, one) for one in operand)


def _equals(value: Any, operand: Any) -> bool:
    return bool(value == operand)


_OPERATORS = {"$eq": _equals, "$contains": _contains_all, "$in": _is_one_of}

OPERATORS = frozenset(_OPERATORS)
"""What a filter may ask of a value: to be equal, to have a member or several, to be one of a list (null: absent)."""
