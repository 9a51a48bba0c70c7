"""The manifest and the tests tell the same."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.protocol.requirements import BY_ID, REQUIREMENTS, covers

HERE = Path(__file__).parent
THIS = Path(__file__).name


def covered() -> Mapping[str, tuple[str, ...]]:
    """The entries that each test names, read from the sources, so that running one test alone changes nothing."""
    return {
        f"{path.name}::{test.name}": tuple(_ids_of(test))
        for path in sorted(HERE.glob("test_*.py"))
        if path.name != THIS
        for test in ast.parse(path.read_text()).body
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_")
    }


def _ids_of(test: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for call in test.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "covers":
            yield from (str(ast.literal_eval(argument)) for argument in call.args)


def test_every_test_names_what_it_shows() -> None:
    assert [test for test, ids in covered().items() if not ids] == []


def test_every_requirement_has_a_test() -> None:
    shown = {one for ids in covered().values() for one in ids}
    assert sorted(BY_ID.keys() - shown) == []


def test_tests_name_known_requirements_only() -> None:
    shown = {one for ids in covered().values() for one in ids}
    assert sorted(shown - BY_ID.keys()) == []


def test_naming_an_unknown_requirement_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"runs\.nothing"):
        covers("runs.nothing")


def test_ids_are_unique() -> None:
    counted = Counter(requirement.id for requirement in REQUIREMENTS)
    assert [name for name, times in counted.items() if times > 1] == []


def test_every_known_difference_has_a_reason() -> None:
    assert [entry.id for entry in REQUIREMENTS if entry.divergence is not None and not entry.divergence.strip()] == []
