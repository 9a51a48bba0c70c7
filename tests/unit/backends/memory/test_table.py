from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fast_graph.backends.memory.table import Table
from fast_graph.model.match import contains
from fast_graph.model.queries import Paging
from fast_graph.model.records import Assistant, Json

START = datetime(2025, 1, 1, tzinfo=UTC)
JSON_FIELDS = ("metadata", "config", "context")
IDS = st.sampled_from([f"id-{number}" for number in range(6)])
VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, "", "a", [], ["a"], ["a", 1], {}, {"k": 1}, {"k": [True]}])
METADATA = st.dictionaries(st.sampled_from(["x", "y"]), VALUES, max_size=2)
SORTS = st.sampled_from(["assistant_id", "name", "description", "created_at", "updated_at"])
PAGING = st.builds(
    Paging,
    limit=st.integers(1, 4),
    offset=st.integers(0, 3),
    sort_by=SORTS,
    sort_order=st.sampled_from(["asc", "desc"]),
)


def assistant(key: str, metadata: Json, name: str = "a", description: str | None = None, at: int = 0) -> Assistant:
    now = START + timedelta(seconds=at)
    return Assistant(
        assistant_id=key,
        graph_id="g",
        name=name,
        created_at=now,
        updated_at=now,
        metadata=metadata,
        description=description,
    )


class TableAgainstList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table: Table[Assistant] = Table(Assistant, "assistant_id", JSON_FIELDS)
        self.rows: dict[str, Assistant] = {}
        self.at = 0

    @rule(key=IDS, metadata=METADATA, name=st.sampled_from("abc"), description=st.sampled_from([None, "x", "y"]))
    def put(self, key: str, metadata: Json, name: str, description: str | None) -> None:
        self.at += 1
        row = assistant(key, metadata, name, description, self.at)
        if key in self.rows:
            created: Any = {"created_at": self.rows[key].created_at}
            row = Assistant(**{**row.__dict__, **created})
        self.table.put(row)
        self.rows[key] = row

    @rule(key=IDS)
    def pop(self, key: str) -> None:
        assert self.table.pop(key) == self.rows.pop(key, None)

    @rule(key=IDS)
    def get(self, key: str) -> None:
        assert self.table.get(key) == self.rows.get(key)
        assert (key in self.table) == (key in self.rows)

    @rule(wanted=METADATA, paging=PAGING, few=st.booleans())
    def search(self, wanted: Json, paging: Paging, few: bool) -> None:
        sort_by, order, offset, limit = paging.sort_by, paging.sort_order, paging.offset, paging.limit
        page = self.table.search(paging, metadata=wanted, keep=(lambda row: row.name == "a") if few else None)
        matching = [
            row for row in self.rows.values() if contains(row.metadata, wanted) and (row.name == "a" or not few)
        ]
        assert page.total == len(matching)
        in_order = sorted(matching, key=lambda row: _rank(row, sort_by), reverse=order == "desc")
        shown = in_order[offset : offset + limit]
        assert [_rank(row, sort_by)[:2] for row in page.rows] == [_rank(row, sort_by)[:2] for row in shown]
        assert all(row == self.rows[row.assistant_id] for row in page.rows)

    @invariant()
    def it_holds_what_was_put(self) -> None:
        assert len(self.table) == len(self.rows)
        assert list(self.table.all()) == list(self.rows.values())

    def teardown(self) -> None:
        for key in list(self.rows):
            self.pop(key)
        empty: Table[Assistant] = Table(Assistant, "assistant_id", JSON_FIELDS)
        assert _inside(self.table) == _inside(empty)


def _rank(row: Assistant, sort_by: str) -> tuple[bool, Any, str]:
    value = getattr(row, sort_by)
    return (value is not None, value if value is not None else "", row.assistant_id)


def _inside(table: Table[Assistant]) -> dict[str, Any]:
    parts = dict(table.__dict__)
    return {name: parts[name] for name in ("_rows", "_recent")} | {"index": parts["_index"].__dict__}


TableAgainstList.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestTable = TableAgainstList.TestCase


@given(METADATA)
def test_what_is_read_shares_nothing_with_what_was_written(metadata: dict[str, Any]) -> None:
    table: Table[Assistant] = Table(Assistant, "assistant_id", JSON_FIELDS)
    inner: list[Any] = []
    table.put(assistant("id", {**metadata, "inner": inner}))
    inner.append("changed")
    first = table.get("id")
    assert first is not None
    assert first.metadata["inner"] == []
    first.metadata["inner"].append("changed, too")
    second = table.get("id")
    assert second is not None
    assert second.metadata["inner"] == []


def test_a_value_that_is_no_json_is_refused_and_nothing_is_stored() -> None:
    table: Table[Assistant] = Table(Assistant, "assistant_id", JSON_FIELDS)
    with pytest.raises(TypeError):
        table.put(assistant("id", {"x": object()}))
    assert len(table) == 0
    assert table.get("id") is None
    assert table.pop("id") is None
