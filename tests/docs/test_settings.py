"""Every setting is documented where people look, with the default it has, and nothing else is."""

import json
import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from fast_graph import Settings
from tests.docs.documents import ROOT, rows

EXAMPLE = ROOT / ".env.example"
ASSIGNMENT = re.compile(r"^# ([A-Z_]+)=(.*)$", re.MULTILINE)
OF_THE_DEMO = {"HOST": "127.0.0.1", "PORT": "8000", "FAST_GRAPH_DEMO_MODEL": ""}
OF_COMPOSE = {"POSTGRES_PASSWORD": "fast-graph"}
OF_OTHERS = OF_THE_DEMO | OF_COMPOSE


def _settings() -> dict[str, object]:
    fields = Settings.model_fields.items()
    return {str(field.validation_alias or f"FAST_GRAPH_{name.upper()}"): field.default for name, field in fields}


def _documented() -> dict[str, str]:
    table = [row for row in rows(ROOT / "docs" / "configuration.md") if re.fullmatch(r"[A-Z_]+", row[0])]
    assert all(meaning for _, _, meaning in table)
    return {name: default for name, default, _ in table}


def _exemplified() -> dict[str, str]:
    return dict(ASSIGNMENT.findall(EXAMPLE.read_text()))


def test_every_setting_has_a_default_that_works() -> None:
    assert PydanticUndefined not in _settings().values()


def test_the_configuration_page_lists_exactly_the_settings_there_are() -> None:
    assert set(_documented()) == set(_settings()) | set(OF_OTHERS)


def test_the_example_file_lists_exactly_the_settings_there_are() -> None:
    assert set(_exemplified()) == set(_settings()) | set(OF_OTHERS)


@pytest.mark.parametrize("name", _settings())
def test_a_documented_default_is_the_default(name: str) -> None:
    default = _settings()[name]
    assert _value(_documented()[name], default) == default
    assert _value(_exemplified()[name], default) == default


def _value(written: str, default: object) -> object:
    match default:
        case None:
            return written or None
        case str():
            return written
        case tuple():
            return (
                tuple(type(one)(part) for one, part in zip(default, written.split(","), strict=True)) if written else ()
            )
        case _:
            return json.loads(written)


@pytest.mark.parametrize("name", OF_OTHERS)
def test_a_documented_default_of_others_is_the_same_on_both_pages(name: str) -> None:
    assert _documented()[name] == _exemplified()[name] == OF_OTHERS[name]


@pytest.mark.parametrize("name", OF_COMPOSE)
def test_a_documented_default_of_docker_compose_is_the_default(name: str) -> None:
    assert f"${{{name}:-{OF_COMPOSE[name]}}}" in (ROOT / "docker-compose.yml").read_text()


def test_a_reason_stands_above_every_line_of_the_example_file() -> None:
    lines = EXAMPLE.read_text().splitlines()
    above = {line: lines[number - 1] for number, line in enumerate(lines) if ASSIGNMENT.match(line)}
    assert all(re.match(r"# [A-Z].+\.$", reason) for reason in above.values()), above


def test_the_example_file_uncommented_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _settings():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    defaults = Settings()
    Path(".env").write_text(ASSIGNMENT.sub(r"\1=\2", EXAMPLE.read_text()))
    assert Settings() == defaults
