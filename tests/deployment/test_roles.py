"""Roles on PostgreSQL and Redis: who serves executes nothing, who executes serves nothing, and both share the rest."""

import os
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
import pytest

from fast_graph import Settings
from fast_graph.auth.keys import new_key
from tests.services.processes import LOCAL, ROOT, Bench, Server, accepts, free_port, wait_until

APP = "tests.deployment.roles:app"
CLI = [sys.executable, "-m", "fast_graph.cli"]
SIGN = {"assistant_id": "sign", "input": {}, "if_not_exists": "create"}


@pytest.fixture
def environment(postgres_url: str, redis_url: str) -> Mapping[str, str]:
    """Of every process: the same two services."""
    ours = [
        str(field.validation_alias or f"FAST_GRAPH_{name.upper()}") for name, field in Settings.model_fields.items()
    ]
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "POSTGRE_DATABASE_URL": postgres_url, "REDIS_URL": redis_url}


def instance(bench: Bench, environment: Mapping[str, str], *options: str) -> Server:
    """A process that serves, not started yet."""
    port = free_port()
    return Server(
        bench=bench,
        place=bench.place("serve"),
        port=port,
        url=f"http://{LOCAL}:{port}",
        command=[*CLI, "serve", APP, "--port", str(port), *options],
        ready=lambda: accepts(port),
        environment=environment,
    )


def executor(bench: Bench, environment: Mapping[str, str]) -> Server:
    """A process that executes runs, not started yet."""
    place = bench.place("worker")
    return Server(
        bench=bench,
        place=place,
        port=free_port(),
        url="a worker",
        command=[*CLI, "worker", APP],
        ready=lambda: "worker started" in (place / "log").read_text(),
        environment=environment,
    )


def told(environment: Mapping[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    command = [*CLI, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_who_serves_leaves_runs_to_who_executes(bench: Bench, environment: Mapping[str, str]) -> None:
    serving, working = instance(bench, environment, "--no-worker"), executor(bench, environment)
    with serving, httpx.Client(base_url=serving.url) as client:
        run = client.post("/threads/one/runs", json=SIGN).json()
        assert client.get(f"/threads/one/runs/{run['run_id']}").json()["status"] == "pending"
        with working:
            joined = client.get(f"/threads/one/runs/{run['run_id']}/join", timeout=60)
            assert joined.json() == {"signed": working.pid}
            assert not accepts(working.port)
            working.ask_to_end()
            assert working.wait() == 0
        serving.ask_to_end()
        assert serving.wait() == 0


def test_who_executes_is_told_for_whom(bench: Bench, environment: Mapping[str, str]) -> None:
    key, entry = new_key("alice")
    serving = instance(bench, {**environment, "FAST_GRAPH_API_KEYS": str(entry)}, "--no-worker")
    with serving, executor(bench, environment) as working, httpx.Client(base_url=serving.url, timeout=60) as client:
        refused = client.post("/threads/one/runs/wait", json=SIGN)
        signed = client.post("/threads/one/runs/wait", json=SIGN, headers={"x-api-key": key})
        assert (refused.status_code, signed.json()) == (401, {"signed": working.pid, "signed_for": "alice"})


def test_the_database_is_brought_up_to_date_once(bench: Bench, environment: Mapping[str, str]) -> None:
    first, second = told(environment, "migrate"), told(environment, "migrate")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.count("\n") == second.stdout.count("\n") == 1
    assert first.stdout != second.stdout
    with instance(bench, {**environment, "FAST_GRAPH_MIGRATE": "false"}) as serving:
        assert httpx.get(f"{serving.url}/health").json()["ok"]


@pytest.mark.parametrize("command", [["serve", APP], ["worker", APP], ["migrate"]])
def test_a_database_that_lets_nobody_in_is_told_in_a_line(environment: Mapping[str, str], command: list[str]) -> None:
    where = urlsplit(environment["POSTGRE_DATABASE_URL"])
    nowhere = f"postgresql://me:sesame@{LOCAL}:{where.port}/no_such_database"
    done = told({**environment, "POSTGRE_DATABASE_URL": nowhere}, *command)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "sesame" not in done.stderr


def test_the_run_of_a_killed_worker_is_executed_by_another(bench: Bench, environment: Mapping[str, str]) -> None:
    serving = instance(bench, environment, "--no-worker")
    lost, other = executor(bench, environment), executor(bench, environment)
    with serving, httpx.Client(base_url=serving.url, timeout=60) as client, lost:
        run = client.post("/threads/one/runs", json={**SIGN, "input": {"held_by": lost.pid}}).json()
        path = f"/threads/one/runs/{run['run_id']}"
        wait_until(lambda: client.get(path).json()["status"] == "running", "the run is claimed")
        with other:
            held_by = lost.pid
            lost.kill()
            assert client.get(f"{path}/join").json() == {"held_by": held_by, "signed": other.pid}


def test_the_run_of_a_stopped_worker_is_executed_by_another(bench: Bench, environment: Mapping[str, str]) -> None:
    serving = instance(bench, environment, "--no-worker")
    first, other = executor(bench, {**environment, "FAST_GRAPH_DRAIN": "0.5"}), executor(bench, environment)
    with serving, httpx.Client(base_url=serving.url, timeout=60) as client, first:
        run = client.post("/threads/one/runs", json={**SIGN, "input": {"held_by": first.pid}}).json()
        path = f"/threads/one/runs/{run['run_id']}"
        wait_until(lambda: client.get(path).json()["status"] == "running", "the run is claimed")
        held_by = first.pid
        first.ask_to_end()
        assert first.wait() == 0
        assert client.get(path).json()["status"] == "pending"
        with other:
            assert client.get(f"{path}/join").json() == {"held_by": held_by, "signed": other.pid}
