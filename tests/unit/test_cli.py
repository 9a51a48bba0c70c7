"""The command line, as a process: what it serves and executes, how it ends, and what it says when it cannot start."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fast_graph import Settings, runtime
from fast_graph.auth.keys import digest_of, new_key
from fast_graph.cli import commands
from tests.services.processes import ROOT, accepts, free_port

CLI = [sys.executable, "-m", "fast_graph.cli"]
PATIENCE = 60
"""Seconds after which something that should happen is taken not to."""

APPS = """
import asyncio
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from langgraph.graph import END, START, StateGraph

from fast_graph import ConfigurationError, fastGraph

shout = StateGraph(dict).add_node("shout", lambda state: {"text": "HI"})
GRAPHS = {"shout": shout.add_edge(START, "shout").add_edge("shout", END)}


@asynccontextmanager
async def life(app):
    print("life begins", flush=True)
    yield {"pool": "open"}
    print("life ends", flush=True)


@asynccontextmanager
async def locked_out(app):
    raise ConfigurationError("PostgreSQL refuses the password:\\nsee POSTGRE_DATABASE_URL")
    yield


@asynccontextmanager
async def wrapped(app):
    async with asyncio.TaskGroup(), locked_out(app):
        yield


app = fastGraph(GRAPHS, app=FastAPI(lifespan=life))
locked = fastGraph(GRAPHS, custom_lifespan=locked_out)
grouped = fastGraph(GRAPHS, custom_lifespan=wrapped)
broken = fastGraph(GRAPHS, custom_lifespan=lambda app: 1 / 0)
other = FastAPI()


@app.get("/pool")
def pool(request: Request) -> str:
    return request.state.pool
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a module of apps, where the commands are given."""
    (tmp_path / "apps.py").write_text(APPS)
    return tmp_path


def environment(**variables: str) -> Mapping[str, str]:
    """An environment in which only these settings are made."""
    ours = {"FORWARDED_ALLOW_IPS", *(field.validation_alias for field in Settings.model_fields.values())}
    kept = {name: value for name, value in os.environ.items() if name not in ours and "FAST_GRAPH" not in name}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}


@dataclass(frozen=True)
class Told:
    """What a command that has ended said."""

    code: int
    out: str
    err: str


def told(here: Path, *words: str, **variables: str) -> Told:
    """From a process that ends by itself."""
    command = [*CLI, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=here, env=environment(**variables), stdout=pipe, stderr=pipe, text=True
    ) as child:
        out, err = child.communicate(timeout=PATIENCE)
    return Told(child.returncode, out, err)


@pytest.fixture
def at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """The same in this process, which is ready; for what changes nothing in it."""
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def say(*words: str) -> Told:
        done = CliRunner().invoke(commands, words, prog_name="fast-graph")
        return Told(done.exit_code, done.stdout, done.stderr)

    return say


class Process:
    """A command that goes on until it is stopped."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self.child = child
        self.said = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Reads what it says up to a line with this."""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.said += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"It never said {pattern!r}:\n{self.said}")

    def stop(self, number: signal.Signals) -> int:
        """Its exit code."""
        self.child.send_signal(number)
        rest, _ = self.child.communicate(timeout=PATIENCE)
        self.said += rest
        return self.child.returncode


@contextmanager
def running(here: Path, *words: str, **variables: str) -> Iterator[Process]:
    with subprocess.Popen(
        [*CLI, *words],
        cwd=here,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        try:
            yield Process(child)
        finally:
            child.kill()


def ask(url: str, body: object = None) -> object:
    """What a server answers: to a POST, if there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def url_of(server: Process) -> str:
    return server.until(r"running on (http://\S+)")[1]


# Serving.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_until_it_is_stopped(here: Path, number: signal.Signals) -> None:
    with running(here, "serve", "apps:app", "--port", "0") as server:
        url = url_of(server)
        assert ask(f"{url}/ok") == {"ok": True, "services": {}}
        assert ask(f"{url}/runs/wait", {"assistant_id": "shout", "input": {}}) == {"text": "HI"}
        assert ask(f"{url}/pool") == "open"
        assert server.stop(number) == 0
    assert "INFO fast_graph: FastGraph" in server.said
    assert "WARNING" not in server.said
    assert "life begins" in server.said
    assert "life ends" in server.said
    assert "Traceback" not in server.said


def test_serve_is_for_this_machine_alone_unless_told_otherwise(here: Path) -> None:
    with running(here, "serve", "apps:app", "--port", "0") as server:
        assert url_of(server).startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("host", "keys", "warned"), [("0.0.0.0", None, True), ("127.0.0.1", None, False), ("0.0.0.0", "alice", False)]
)
def test_a_server_that_all_can_reach_warns_if_nobody_is_asked(
    here: Path, host: str, keys: str | None, warned: bool
) -> None:
    variables = {"FAST_GRAPH_API_KEYS": str(new_key(keys)[1])} if keys else {}
    with running(here, "serve", "apps:app", "--host", host, "--port", "0", **variables) as server:
        url_of(server)
        server.stop(signal.SIGTERM)
    assert ("no authentication: whoever reaches 0.0.0.0" in server.said) == warned


def test_a_key_is_made_and_only_its_hash_is_for_the_settings(at_once: Callable[..., Told]) -> None:
    done = at_once("key", "alice")
    made, entry = (line.rpartition(" ")[2] for line in done.out.splitlines())
    assert (done.code, entry) == (0, f"alice:{digest_of(made)}")


def test_serve_without_a_worker_leaves_runs_pending(here: Path) -> None:
    with running(here, "serve", "apps:app", "--port", "0", "--no-worker") as server:
        url = url_of(server)
        run = ask(f"{url}/threads/one/runs", {"assistant_id": "shout", "input": {}, "if_not_exists": "create"})
        assert isinstance(run, dict)
        for _ in range(20):  # a worker would have claimed it long before the last answer
            found = ask(f"{url}/threads/one/runs/{run['run_id']}")
        assert isinstance(found, dict)
        assert found["status"] == "pending"
        assert server.stop(signal.SIGTERM) == 0
    assert "WARNING fast_graph: the backend is of one process alone" in server.said


def test_the_options_become_settings(here: Path) -> None:
    (here / "shown.py").write_text(
        "import apps\n"
        "app = apps.app\n"
        "settings = app.state.fast_graph.settings\n"
        "raise SystemExit(f'{settings.worker_slots} {settings.worker}')\n"
    )
    done = told(here, "serve", "shown:app", "--slots", "7", "--no-worker", FAST_GRAPH_WORKER_SLOTS="9")
    assert done.err == "7 False\n"
    done = told(here, "worker", "shown:app", FAST_GRAPH_WORKER_SLOTS="9", FAST_GRAPH_WORKER="false")
    assert done.err == "9 True\n"


def test_the_paths_and_clients_that_a_proxy_names_are_believed(here: Path) -> None:
    (here / "behind.py").write_text(
        "from apps import app\n"
        "from fastapi import Request\n"
        "@app.get('/seen')\n"
        "def seen(request: Request) -> list[str]:\n"
        "    return [request.client.host, str(request.url)]\n"
    )
    options = ["--port", "0", "--root-path", "/agents", "--forwarded-allow-ips", "*"]
    with running(here, "serve", "behind:app", *options) as server:
        headers = {"x-forwarded-for": "9.9.9.9", "x-forwarded-proto": "https", "host": "agents.example"}
        request = urllib.request.Request(f"{url_of(server)}/seen", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert json.load(answer) == ["9.9.9.9", "https://agents.example/agents/seen"]


def test_logging_that_the_app_has_set_up_stays(here: Path) -> None:
    (here / "logging_app.py").write_text(
        "import logging\nfrom apps import app\nlogging.basicConfig(format='mine: %(message)s', level='INFO')\n"
    )
    with running(here, "serve", "logging_app:app", "--port", "0") as server:
        server.until("^mine: FastGraph")


def test_a_port_that_is_taken_is_told_in_a_line(here: Path) -> None:
    with running(here, "serve", "apps:app", "--port", "0") as server:
        port = url_of(server).rpartition(":")[2]
        done = told(here, "serve", "apps:app", "--port", port, "--log-level", "error")
    assert done.code == 3
    assert re.fullmatch(r".* ERROR uvicorn.error: .*address already in use\n", done.err)
    assert done.out.split("\n")[:2] == ["life begins", "life ends"]


# Executing.


@pytest.mark.parametrize(("number", "file"), [(signal.SIGTERM, ""), (signal.SIGINT, "agents.sqlite")])
def test_a_worker_lives_with_the_app_and_listens_to_nobody(here: Path, number: signal.Signals, file: str) -> None:
    port = free_port()
    variables = {"PORT": str(port), "FAST_GRAPH_SQLITE_PATH": file}
    with running(here, "worker", "apps:app", "--slots", "3", **variables) as worker:
        worker.until(r"INFO fast_graph: worker started: process=\d+ slots=3")
        worker.until("WARNING fast_graph: the backend is of one process alone")
        assert not accepts(port)
        assert worker.stop(number) == 0
    assert "life begins" in worker.said
    assert "life ends" in worker.said
    assert "Traceback" not in worker.said


# Migrating.


def test_migrate_says_what_was_done(at_once: Callable[..., Told], monkeypatch: pytest.MonkeyPatch) -> None:
    async def migrated(settings: Settings) -> str:
        return f"{settings.sqlite_path} is up to date"

    monkeypatch.setenv("FAST_GRAPH_SQLITE_PATH", "agents.sqlite")
    monkeypatch.setattr(runtime, "migrate", migrated)
    assert at_once("migrate") == Told(0, "agents.sqlite is up to date\n", "")


# What cannot start.


def refused(done: Told, code: int, said: str) -> None:
    """In a line, and with the exit code."""
    assert done.code == code, done.err
    assert re.fullmatch(f"Error: .*{said}.*\n", done.err)
    assert done.out == ""


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("apps", "'apps' names no app: it takes module:attribute, such as server:app"),
        ("nowhere:app", "The module nowhere cannot be imported: there is none"),
        ("apps:nothing", "The module apps has no attribute nothing"),
        ("apps:GRAPHS", "apps:GRAPHS is no FastGraph app but an object of type dict"),
        ("apps:other", "apps:other is no FastGraph app but an object of type FastAPI"),
        ("needy:app", r"ModuleNotFoundError: No module named 'nowhere' \(.*needy.py, line 2\)"),
        ("dividing:app", r"ZeroDivisionError: division by zero \(.*dividing.py, line 2\)"),
        ("unfinished:app", r"SyntaxError: .*unfinished.py, line 2\)"),
    ],
)
def test_a_target_that_is_no_app_is_told_in_a_line(
    here: Path, at_once: Callable[..., Told], target: str, said: str
) -> None:
    (here / "needy.py").write_text("\nimport nowhere\n")
    (here / "dividing.py").write_text("\n1 / 0\n")
    (here / "unfinished.py").write_text("\ndef (\n")
    refused(at_once("serve", target), 2, said)


def test_a_process_that_finds_no_app_tells_it_in_a_line(here: Path) -> None:
    refused(told(here, "serve", "nowhere:app"), 2, "The module nowhere cannot be imported: there is none")


@pytest.mark.parametrize(("command", "name"), [("serve", "locked"), ("worker", "locked"), ("serve", "grouped")])
def test_an_app_that_refuses_to_start_is_told_in_a_line(here: Path, command: str, name: str) -> None:
    refused(told(here, command, f"apps:{name}"), 3, "PostgreSQL refuses the password: see POSTGRE_DATABASE_URL")


def test_a_mistake_in_the_apps_own_lifespan_is_shown_where_it_is(here: Path) -> None:
    done = told(here, "serve", "apps:broken")
    assert done.code == 1
    assert "apps.py" in done.err
    assert done.err.endswith("ZeroDivisionError: division by zero\n")


def test_an_app_that_refuses_to_be_made_is_told_in_a_line(here: Path, at_once: Callable[..., Told]) -> None:
    (here / "wrong.py").write_text("from fast_graph import fastGraph\napp = fastGraph({'a/b': None})\n")
    refused(at_once("serve", "wrong:app"), 3, "a/b")


@pytest.mark.parametrize("command", [["serve", "apps:app"], ["worker", "apps:app"], ["migrate"]])
def test_half_a_configuration_is_told_in_a_line_without_its_secrets(here: Path, command: list[str]) -> None:
    done = told(here, *command, POSTGRE_DATABASE_URL="postgresql://me:sesame@db/agents")
    refused(done, 3, "POSTGRE_DATABASE_URL names a PostgreSQL, but there is no Redis")
    assert "sesame" not in done.err


def test_a_value_that_cannot_be_used_is_told_with_its_name(here: Path) -> None:
    done = told(here, "serve", "apps:app", REDIS_PORT="sesame", FAST_GRAPH_LEASE="0")
    refused(done, 3, "REDIS_PORT: .*; lease: Input should be greater than 0")
    assert "sesame" not in done.err


def test_a_certificate_that_is_none_is_told_in_a_line(here: Path) -> None:
    refused(told(here, "serve", "apps:app", "--ssl-certfile", "apps.py"), 3, "certificate or its key cannot be used")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "apps:app", "--ssl-certfile", "nowhere.pem"], "nowhere.pem"),
        (["serve", "apps:app", "--ssl-keyfile", "apps.py"], "--ssl-keyfile needs --ssl-certfile"),
        (["serve", "--port", "70000"], "'--port'"),
        (["worker", "--slots", "0"], "'--slots'"),
        (["dance"], "dance"),
    ],
)
def test_a_command_that_makes_no_sense_is_explained(at_once: Callable[..., Told], words: list[str], said: str) -> None:
    done = at_once(*words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


# Help.


def test_help_names_every_command(at_once: Callable[..., Told]) -> None:
    done = at_once("--help")
    assert done.code == 0
    assert all(re.search(rf"^  {command} +\w", done.out, re.MULTILINE) for command in ("serve", "worker", "migrate"))


@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_the_help_of_a_command_has_examples(at_once: Callable[..., Told], command: str) -> None:
    done = at_once(command, "--help")
    assert done.code == 0
    assert f"Examples:\n    fast-graph {command}" in done.out.replace("  Examples:", "Examples:")


def test_the_version_is_told(here: Path) -> None:
    assert re.fullmatch(r"fast-graph \d+\.\d+\.\d+\n", told(here, "--version").out)
