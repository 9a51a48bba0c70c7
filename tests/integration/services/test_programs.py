import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.services.nginx import nginx_server
from tests.services.plugin import POSTGRES_URL, REDIS_URL, programs_for
from tests.services.postgres import postgres_server
from tests.services.processes import open_bench
from tests.services.programs import NGINX, POSTGRES, REDIS, WHEELS, MissingProgramError, Program, find
from tests.services.redis import redis_server

NOTHING = Program(name="nothing", commands=("no-such-program",), wheels=(), package="debian", formula="brewed")


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTGRAPH_TEST_APT", raising=False)


def program_at(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o755)
    return path


def test_a_missing_program_is_an_error_that_says_what_to_install() -> None:
    with pytest.raises(MissingProgramError, match=r"(?s)real nothing.*\[services\].*install debian.*install brewed"):
        find(NOTHING)


def test_the_newest_version_is_taken(tmp_path: Path) -> None:
    for version in ("9.6", "17", "15"):
        program_at(tmp_path / version / "no-such-program")
    assert find(replace(NOTHING, folders=(f"{tmp_path}/*",))) == tmp_path / "17" / "no-such-program"


def test_a_program_keeps_the_name_it_is_called_by(tmp_path: Path) -> None:
    link = tmp_path / "no-such-program"
    link.symlink_to(program_at(tmp_path / "many-in-one"))
    assert find(replace(NOTHING, folders=(str(tmp_path),))) == link


def test_a_program_without_its_companion_is_not_taken(tmp_path: Path) -> None:
    path = program_at(tmp_path / "no-such-program")
    program = replace(NOTHING, folders=(str(tmp_path),), beside=("companion",))
    with pytest.raises(MissingProgramError):
        find(program)
    program_at(tmp_path / "companion")
    assert find(program) == path


def test_a_server_of_the_environment_needs_no_program() -> None:
    fixtures = {"session_redis", "session_postgres"}
    assert programs_for(fixtures, {}) == [POSTGRES, REDIS]
    assert programs_for(fixtures, {REDIS_URL: "redis://elsewhere"}) == [POSTGRES]
    assert programs_for(fixtures, {REDIS_URL: "redis://elsewhere", POSTGRES_URL: "postgresql://elsewhere"}) == []


def test_a_test_that_asks_for_nothing_needs_no_program() -> None:
    assert programs_for({"tmp_path", "start_app"}, {}) == []


def test_the_wheels_serve_where_the_system_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTGRAPH_TEST_APT", "0")
    assert all(find(program).is_relative_to(WHEELS) for program in (NGINX, POSTGRES, REDIS))
    with open_bench() as bench, redis_server(bench), postgres_server(bench), nginx_server(bench, [1]) as nginx:
        assert httpx.get(nginx.url).status_code == 502


def test_postgres_runs_even_if_its_user_cannot_reach_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FASTGRAPH_TEST_APT", "0")
    package = find(POSTGRES).parents[2]
    for part in package.parent.glob(f"{package.name}*"):
        shutil.copytree(part, tmp_path / part.name)
    monkeypatch.setattr("tests.services.programs.WHEELS", tmp_path)
    assert find(POSTGRES).is_relative_to(tmp_path)
    with open_bench() as bench, postgres_server(bench) as server:
        assert server.pid
