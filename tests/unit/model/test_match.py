from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_graph.model.errors import ConfigurationError
from fast_graph.model.match import contains, in_scope

PLAIN = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "b"])
KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)


@given(VALUES)
def test_everything_contains_itself(value: Any) -> None:
    assert contains(value, value)


@given(VALUES, VALUES, VALUES)
def test_containing_is_transitive(a: Any, b: Any, c: Any) -> None:
    if contains(a, b) and contains(b, c):
        assert contains(a, c)


@given(OBJECTS, st.sets(KEYS))
def test_an_object_contains_every_part_of_it(value: dict[str, Any], keys: set[str]) -> None:
    assert contains(value, {key: value[key] for key in keys & value.keys()})


@given(OBJECTS, KEYS, VALUES)
def test_an_object_contains_nothing_under_a_key_it_has_not(value: dict[str, Any], key: str, wanted: Any) -> None:
    value.pop(key, None)
    assert not contains(value, {key: wanted})


@given(st.lists(VALUES, max_size=4), st.data())
def test_a_list_contains_any_of_its_members_in_any_order(value: list[Any], data: st.DataObject) -> None:
    assert contains(value, data.draw(st.permutations(value)))
    assert contains(value, value[1:])


@given(OBJECTS)
def test_everything_is_in_an_empty_filter(value: dict[str, Any]) -> None:
    assert contains(value, {})
    assert in_scope(value, {})


@pytest.mark.parametrize(("value", "wanted"), [(True, 1), (1, True), (False, 0), (0, False), ("1", 1), (None, {})])
def test_values_of_different_kinds_differ(value: Any, wanted: Any) -> None:
    assert not contains({"x": value}, {"x": wanted})


@given(OBJECTS, KEYS, VALUES)
def test_a_plain_condition_is_equality(metadata: dict[str, Any], key: str, value: Any) -> None:
    condition = value if not isinstance(value, dict) else {"$eq": value}
    assert in_scope({**metadata, key: value}, {key: condition})
    assert in_scope(metadata, {key: condition}) == (metadata.get(key) == value)


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_contains_wants_every_member(value: list[int], wanted: list[int]) -> None:
    assert in_scope({"x": value}, {"x": {"$contains": wanted}}) == (set(wanted) <= set(value))


@given(st.lists(st.integers(0, 5)), st.integers(0, 5))
def test_contains_takes_a_single_member(value: list[int], wanted: int) -> None:
    assert in_scope({"x": value}, {"x": {"$contains": wanted}}) == (wanted in value)


@pytest.mark.parametrize("value", [None, "abc", 1, {"a": 1}])
def test_what_is_no_list_contains_nothing(value: Any) -> None:
    assert not in_scope({"x": value}, {"x": {"$contains": "a"}})


def test_every_condition_has_to_hold() -> None:
    scope = {"owner": "me", "tags": {"$contains": "a"}}
    assert in_scope({"owner": "me", "tags": ["a", "b"]}, scope)
    assert not in_scope({"owner": "you", "tags": ["a"]}, scope)
    assert not in_scope({"owner": "me", "tags": ["b"]}, scope)


def test_a_row_without_the_key_is_out_of_scope() -> None:
    assert not in_scope({}, {"owner": "me"})
    assert not in_scope({}, {"owner": {"$eq": "me"}})


@pytest.mark.parametrize(("metadata", "found"), [({"owner": "me"}, True), ({}, True), ({"owner": "you"}, False)])
def test_one_of_several_will_do_and_null_is_absent(metadata: dict[str, Any], found: bool) -> None:
    assert in_scope(metadata, {"owner": {"$in": ["me", None]}}) == found
    assert not in_scope(metadata, {"owner": {"$in": []}})


@pytest.mark.parametrize("scope", [{"owner": {"$ne": "x"}}, {"owner": {"$eq": "me", "$x": 1}}, {"$or": []}])
def test_a_filter_that_is_not_understood_is_refused(scope: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="unknown operator"):
        in_scope({"owner": "me"}, scope)
