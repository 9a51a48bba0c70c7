"""docker-compose.yml is well-formed, and agrees with nginx.conf, the Dockerfile and the settings."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from fast_graph import Settings
from tests.deployment.front import INSTANCE, SHIPPED
from tests.services.processes import ROOT

COMPOSE = ROOT / "docker-compose.yml"
OPEN_REQUESTS = 5
"""Seconds that `fast-graph serve` gives open requests when it stops."""


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services, with the passwords that count when nobody chooses others."""
    text = re.sub(r"\$\{\w+:-([\w-]+)\}", r"\1", COMPOSE.read_text())
    found: dict[str, Any] = YAML(typ="safe").load(text)["services"]
    return found


def test_the_file_follows_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nginx_knows_the_instances(services: dict[str, Any]) -> None:
    instances = [name for name in services if re.fullmatch(r"fast-graph-\d", name)]
    assert instances == INSTANCE.findall(SHIPPED.read_text()) == list(services["nginx"]["depends_on"])
    assert len(instances) == 3


def test_everything_says_whether_it_works(services: dict[str, Any]) -> None:
    assert all("test" in service["healthcheck"] for name, service in services.items() if name != "worker")
    assert services["worker"]["healthcheck"] == {"disable": True}  # it serves no HTTP


@pytest.mark.parametrize("name", ["fast-graph-1", "worker"])
def test_the_settings_take_the_environment(
    services: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", "redis://of-a-server-without-docker")
    for variable, value in services[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert settings.postgres_url == "postgresql://fast_graph:fast-graph@postgres:5432/fast_graph"
    assert (settings.redis_host, settings.redis_url) == ("redis", None)


def test_a_process_may_take_its_time_to_stop(services: dict[str, Any]) -> None:
    needed = OPEN_REQUESTS + 2 * Settings.model_construct().drain
    for name in ("fast-graph-1", "worker"):
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > needed


def test_instances_execute_runs_and_so_does_the_worker(services: dict[str, Any]) -> None:
    assert services["fast-graph-1"]["command"][:3] == ["fast-graph", "serve", "server:app"]
    assert services["worker"]["command"][:3] == ["fast-graph", "worker", "server:app"]


def test_only_nginx_can_be_reached_from_outside(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]


def test_the_image_runs_as_nobody_in_particular_and_stops_when_asked() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER app" in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)
