"""Repeatable query parameters, as each kind of client sends them."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from fast_graph.api import requests
from fast_graph.api.requests import CommandBody, RunCreate, RunsCancel, listed

names = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda name: not name.startswith("["))


@given(st.lists(names, min_size=1))
def test_repeated_keys_and_one_array_mean_the_same(values: list[str]) -> None:
    assert listed(values) == values
    assert listed([orjson.dumps(values).decode()]) == values


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (None, None),
        ([], None),
        ([""], None),
        (["[]"], None),
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        (['["a","b"]'], ["a", "b"]),
        (['["a"]', "b"], ["a", "b"]),
        (["a", ""], ["a"]),
        (["[1, null]"], ["1", "None"]),
        (["[a"], ["[a"]),
        (["{}"], ["{}"]),
    ],
)
def test_a_list_is_read_as_it_was_meant(values: list[str] | None, wanted: list[str] | None) -> None:
    assert listed(values) == wanted


@given(st.lists(st.text() | st.text('[]{},"1', max_size=6)))
def test_nothing_in_a_query_is_an_error(values: list[str]) -> None:
    found = listed(values)
    assert found is None or all(isinstance(item, str) for item in found)


@pytest.mark.parametrize("goto", [None, "a", ["a"], {"node": "a"}, [{"node": "a", "input": 1}, "b"], []])
def test_goto_names_nodes(goto: Any) -> None:
    assert CommandBody.model_validate({"goto": goto}).goto == goto


@pytest.mark.parametrize("goto", [3, {"input": 1}, {"node": 3}, [["a"]], ["a", 3], True])
def test_goto_names_nothing_else(goto: Any) -> None:
    with pytest.raises(ValueError, match="goto is a node's name"):
        CommandBody.model_validate({"goto": goto})


@pytest.mark.parametrize("body", [{"assistant_id": "a", "metadata": None, "stream_mode": None, "context": None}])
def test_null_counts_as_left_out(body: dict[str, Any]) -> None:
    assert RunCreate.model_validate(body) == RunCreate(assistant_id="a")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"thread_id": "t"},
        {"run_ids": []},
        {"thread_id": "t", "run_ids": [], "status": "all"},
    ],
)
def test_runs_are_cancelled_by_their_ids_or_by_status(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give either"):
        RunsCancel.model_validate(body)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (requests.ThreadSearch, {"ids": ["a"] * 1001}),
        (requests.ThreadPrune, {"thread_ids": ["a"] * 1001}),
        (requests.RunsCancel, {"thread_id": "a", "run_ids": ["00000000-0000-0000-0000-000000000000"] * 1001}),
        (requests.AssistantVersion, {"version": 2**31}),
    ],
)
def test_no_request_names_more_than_a_store_can_look_for(model: type[BaseModel], body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)
