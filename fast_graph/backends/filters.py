"""What a filter of the long-term store means, wherever the items are kept."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def passes(value: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether an item's value meets every condition; a value that cannot be compared does not."""
    return all(_meets(value.get(key), condition) for key, condition in wanted.items())


def _meets(value: Any, condition: Any) -> bool:
    if not isinstance(condition, dict):
        return bool(value == condition)
    if any(name in COMPARISONS for name in condition):
        return all(_holds(name, value, operand) for name, operand in condition.items())
    return isinstance(value, dict) and all(_meets(value.get(key), wanted) for key, wanted in condition.items())


def _holds(name: str, value: Any, operand: Any) -> bool:
    if name not in COMPARISONS:
        raise ValueError(f"There is no operator {name}")
    try:
        return bool(COMPARISONS[name](value, operand))
    except TypeError:  # one of the two has no order: an item without the key, say
        return False
