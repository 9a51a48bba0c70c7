"""What a client is told of an exception: its type always, its text only if it is of a kind meant to be read."""

from langgraph.errors import (
    EmptyInputError,
    GraphBubbleUp,
    InvalidUpdateError,
    NodeCancelledError,
    NodeTimeoutError,
    TaskNotFound,
    UnknownInterruptError,
)
from pydantic import ValidationError

from fast_graph.model.errors import FastGraphError
from fast_graph.model.records import Failure

SHOWN = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RuntimeError,
    TimeoutError,
    EmptyInputError,
    GraphBubbleUp,
    InvalidUpdateError,
    NodeCancelledError,
    NodeTimeoutError,
    TaskNotFound,
    UnknownInterruptError,
    ValidationError,
    FastGraphError,
)
"""Errors whose text a graph's author writes for others; anything else may carry secrets."""

MASKED = "An internal error occurred"


def describe(error: BaseException) -> Failure:
    """The failure to store and to send."""
    return Failure(error=type(error).__name__, message=_text(error) if isinstance(error, SHOWN) else MASKED)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the exception is a stranger's, and so is its __str__
        return MASKED
