"""Paths into a thread, and the headers of a page."""

from collections.abc import Sequence

import pytest

from fast_graph.api.present import extract_path, found_thread_json, page_headers, selected
from fast_graph.model.errors import InvalidError
from fast_graph.model.records import Page
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_thread


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("values", ["values"]),
        ("values.log[0]", ["values", "log", 0]),
        ("values.log[-1].text", ["values", "log", -1, "text"]),
        ("values.grid[1][2]", ["values", "grid", 1, 2]),
        ("metadata.graph_id", ["metadata", "graph_id"]),
        ("config.configurable.user", ["config", "configurable", "user"]),
        ("interrupts", ["interrupts"]),
        ("values.10", ["values", "10"]),
    ],
)
def test_a_path_is_its_steps(path: str, steps: Sequence[str | int]) -> None:
    assert extract_path(path) == steps


@pytest.mark.parametrize("path", ["", ".", "status", "thread_id.x", "[0]", "Values", "valuesx.a"])
def test_a_path_begins_at_a_column_that_can_be_picked_from(path: str) -> None:
    with pytest.raises(InvalidError, match="An extract path begins with config, interrupts, metadata, values"):
        extract_path(path)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("values.log[0].text", "a"),
        ("values.log[-1].text", "b"),
        ("values.log[5]", None),
        ("values.none.more", None),
        ("values.log.text", None),
        ("metadata[0]", None),
        ("metadata.owner", "ann"),
        ("interrupts.x", None),
    ],
)
def test_what_is_not_there_is_null(path: str, wanted: object) -> None:
    values = b'{"log":[{"text":"a"},{"text":"b"}]}'
    thread = new_thread(OwnedClock(), values=values, metadata={"owner": "ann"})
    assert found_thread_json(thread, ["status"], {"it": extract_path(path)}) == {
        "status": "idle",
        "extracted": {"it": wanted},
    }


def test_only_the_columns_asked_for_are_shown() -> None:
    assert selected({"a": 1, "b": 2}, None) == {"a": 1, "b": 2}
    assert selected({"a": 1, "b": 2}, ["b", "c"]) == {"b": 2}


def test_the_last_page_names_no_next_one() -> None:
    page = Page(rows=[1, 2], total=5)
    assert page_headers(page, 0) == {"x-pagination-total": "5", "x-pagination-next": "2"}
    assert page_headers(page, 3) == {"x-pagination-total": "5"}
