"""Instances that find the database in whatever condition."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from fast_graph.backends.postgres.migrating import LOCK
from fast_graph.backends.sql.migrating import VERSION_TABLE, newest
from tests.cluster.instances import APP, CLI, running, serving
from tests.services.processes import PATIENCE, ROOT, Bench, Server, wait_until

Database = psycopg.Connection[tuple[str]]

RACERS = 5
STAY = {"assistant_id": "stay", "input": {"log": []}}


@pytest.fixture
def database(environment: dict[str, str]) -> Iterator[Database]:
    with psycopg.connect(environment["POSTGRE_DATABASE_URL"], autocommit=True) as connection:
        yield connection


def revisions(database: Database) -> list[str]:
    return [row[0] for row in database.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()]


@contextmanager
def nobody_migrates(database: Database) -> Iterator[None]:
    """Whoever wants to migrate waits meanwhile."""
    database.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    yield
    database.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


@pytest.mark.slow
def test_instances_that_want_to_migrate_at_once_all_come_up(
    bench: Bench, environment: dict[str, str], database: Database
) -> None:
    instances = [serving(bench, environment) for _ in range(RACERS)]
    with ThreadPoolExecutor(RACERS) as threads:
        try:
            with nobody_migrates(database):
                starting = [threads.submit(instance.start) for instance in instances]
                wait_until(lambda: all(map(waits_to_migrate, instances)), "all of them want to migrate")
            for start in starting:
                url = start.result().url
                assert len(httpx.post(f"{url}/runs/wait", json=STAY, timeout=PATIENCE).json()["log"]) == 1
        finally:
            list(threads.map(Server.stop, instances))
    assert revisions(database) == [newest()]
    assert ["Traceback" in instance.log.read_text() for instance in instances] == [False] * RACERS


def waits_to_migrate(instance: Server) -> bool:
    return instance.log.exists() and "waiting for another instance that migrates" in instance.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("migrate", ["true", "false"])
def test_a_database_that_a_newer_version_has_migrated_is_accepted(
    bench: Bench, environment: dict[str, str], database: Database, migrate: str
) -> None:
    subprocess.run([*CLI, "migrate"], cwd=ROOT, env=environment, check=True)
    database.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999_later'")
    with running(bench, {**environment, "FAST_GRAPH_MIGRATE": migrate}, []) as cluster:
        assert len(httpx.post(f"{cluster.urls[0]}/runs/wait", json=STAY, timeout=PATIENCE).json()["log"]) == 1
    assert revisions(database) == ["9999_later"]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_an_empty_database_that_nobody_may_migrate_is_told_in_a_line(environment: dict[str, str], command: str) -> None:
    done = subprocess.run(
        [*CLI, command, APP],
        cwd=ROOT,
        env={**environment, "FAST_GRAPH_MIGRATE": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    assert "fast-graph migrate" in done.stderr
