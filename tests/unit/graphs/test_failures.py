"""What is told of an exception, and what is kept to ourselves."""

import asyncio

import pytest
from langgraph.errors import GraphRecursionError, InvalidUpdateError
from pydantic import TypeAdapter, ValidationError

from fast_graph.graphs.failures import MASKED, describe
from fast_graph.model.errors import FastGraphError, NotFoundError
from fast_graph.model.records import Failure


class DatabaseError(Exception):
    """A stranger's error."""


class OwnValueError(ValueError):
    """One of a kind that is meant to be read."""


class SilentError(ValueError):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [
        ValueError("said"),
        TypeError("said"),
        RuntimeError("said"),
        AttributeError("said"),
        TimeoutError("said"),
        GraphRecursionError("said"),
        InvalidUpdateError("said"),
        NotFoundError("said"),
        FastGraphError("said"),
        OwnValueError("said"),
    ],
)
def test_what_is_meant_to_be_read_is_shown(error: Exception) -> None:
    assert describe(error) == Failure(error=type(error).__name__, message="said")


@pytest.mark.parametrize(
    "error",
    [
        DatabaseError("postgres://user:secret@host"),
        OSError("secret"),
        Exception("secret"),
        ZeroDivisionError("secret"),
        ExceptionGroup("secret", [ValueError("secret")]),
        asyncio.CancelledError("secret"),
        SystemExit("secret"),
    ],
)
def test_anything_else_keeps_its_text_to_itself(error: BaseException) -> None:
    assert describe(error) == Failure(error=type(error).__name__, message=MASKED)


def test_a_key_that_is_missing_is_named() -> None:
    assert describe(KeyError("topic")) == Failure(error="KeyError", message="'topic'")


def test_a_validation_error_says_what_is_wrong() -> None:
    with pytest.raises(ValidationError) as found:
        TypeAdapter(int).validate_python("x")
    assert "valid integer" in describe(found.value).message


def test_an_error_that_cannot_be_read_is_masked() -> None:
    assert describe(SilentError()) == Failure(error="SilentError", message=MASKED)
