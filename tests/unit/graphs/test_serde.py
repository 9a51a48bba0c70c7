"""What becomes of a graph's values as JSON."""

import json
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from re import compile as pattern
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from pydantic import AnyUrl, BaseModel, SecretStr

from fast_graph.graphs.serde import decode, encode, encode_message, plain


class Colour(Enum):
    RED = "red"


class Point(BaseModel):
    x: int
    tags: set[str] = set()
    inner: Any = None


@dataclass
class Pair:
    left: Any
    right: Any = None


Named = namedtuple("Named", ["a", "b"])


class Opaque:
    """Something that has no JSON form."""


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), v),
    max_leaves=10,
)


@given(values)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert decode(encode(value)) == value


@given(st.recursive(scalars | st.integers() | st.text() | st.floats(), lambda v: st.lists(v) | st.sets(st.integers())))
def test_any_text_is_json_that_strict_readers_take(value: Any) -> None:
    text = encode(value)
    json.loads(text.decode("utf-8"), parse_constant=pytest.fail)


@given(st.dictionaries(st.integers() | st.booleans() | st.none() | st.text() | st.floats() | st.uuids(), scalars))
def test_keys_of_any_kind_become_strings(value: Any) -> None:
    orjson.loads(encode(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "null"),
        ([float("inf"), -float("inf")], "[null,null]"),
        (Decimal("1.50"), '"1.50"'),
        (b"plain", '"plain"'),
        (b"\xff", '"\\\\xff"'),
        (bytearray(b"a"), '"a"'),
        ({3}, "[3]"),
        (frozenset({3}), "[3]"),
        (deque([1, 2]), "[1,2]"),
        ((1, 2), "[1,2]"),
        (Named(1, 2), '{"a":1,"b":2}'),
        (OrderedDict(a=1), '{"a":1}'),
        ({1: 2}, '{"1":2}'),
        ({None: 2}, '{"null":2}'),
        ({(1, 2): 3}, '{"(1, 2)":3}'),
        (timedelta(minutes=1), "60.0"),
        (date(2025, 1, 2), '"2025-01-02"'),
        (datetime(2025, 1, 2, tzinfo=UTC), '"2025-01-02T00:00:00+00:00"'),
        (UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
        (PurePosixPath("/a/b"), '"/a/b"'),
        (pattern("a+"), '"a+"'),
        (1 + 2j, '"(1+2j)"'),
        (Colour.RED, '"red"'),
        (ValueError("no"), '{"error":"ValueError","message":"no"}'),
        (Pair(1, {2}), '{"left":1,"right":[2]}'),
        (Point(x=1, tags={"a"}), '{"x":1,"tags":["a"],"inner":null}'),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        ("\ud800", '"\ufffd"'),
        ("\ud83d\ude00", '"\U0001f600"'),
        ({"\ud800": 1}, '{"\ufffd":1}'),
    ],
)
def test_each_kind_of_value_has_its_form(value: Any, text: str) -> None:
    assert encode(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [
        {3},
        deque([1]),
        Decimal("1.5"),
        b"\xff",
        Colour.RED,
        timedelta(1),
        Pair(1, Pair(2)),
        Point(x=1, tags={"a"}, inner=Pair(1)),
        float("nan"),
        datetime(2025, 1, 2, tzinfo=UTC),
        HumanMessage("hello", id="m"),
        {1: {None: True}},
        Named(1, {2}),
        ValueError("no"),
        UUID(int=1),
    ],
)
def test_company_that_takes_the_slow_way_changes_no_form(value: Any) -> None:
    """A huge integer next to it must not make a value look different."""
    quick, slow = orjson.loads(encode([value, 0])), orjson.loads(encode([value, 2**70]))
    assert slow[0] == quick[0]


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("hello", id="m1"),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}]),
        AIMessageChunk(content="hel", id="m2"),
        ToolMessage("3", tool_call_id="c1"),
        HumanMessage([{"type": "text", "text": "hello"}]),
    ],
)
def test_a_message_becomes_its_dump(message: BaseMessage) -> None:
    wanted = message.model_dump(mode="json")
    assert decode(encode_message(message)) == wanted
    assert decode(encode({"messages": [message]})) == {"messages": [wanted]}


@pytest.mark.parametrize("held", ["\ud800", 2**70, {1, 2}, b"\xff", Decimal(1), Pair(1)])
def test_a_message_may_hold_anything_that_has_a_form(held: Any) -> None:
    message = AIMessage("text", additional_kwargs={"held": held})
    found = orjson.loads(encode_message(message))
    assert found["content"] == "text"
    assert "held" in found["additional_kwargs"]
    assert orjson.loads(encode([message, 2**70]))[0]["type"] == "ai"


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": v}, Pair, lambda v: [2**70, v]])
@pytest.mark.parametrize("value", [Opaque(), Opaque, len, object()])
def test_what_has_no_form_is_a_type_error(value: object, wrap: Any) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        encode(wrap(value))


def test_what_contains_itself_is_a_type_error() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TypeError, match="contains itself"):
        encode(value)


def test_deep_nesting_is_written_and_read() -> None:
    value: list[Any] = []
    for _ in range(300):
        value = [value]
    assert decode(encode(value)) == value


def test_text_that_is_no_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        decode(b"{")


def test_plain_values_are_what_json_would_carry() -> None:
    assert plain({"a": (1, Pair(2))}) == {"a": [1, {"left": 2, "right": None}]}


def test_what_pydantic_models_hold_has_a_form_and_secrets_stay_secret() -> None:
    class Model(BaseModel):
        url: AnyUrl
        secret: SecretStr

    model = Model(url=AnyUrl("https://example.com/a"), secret=SecretStr("hunter2"))
    assert decode(encode({"model": model})) == {"model": {"url": "https://example.com/a", "secret": "**********"}}
