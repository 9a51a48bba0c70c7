"""The commands of the README do what it says of them."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE, Popen
from time import monotonic

import pytest

from tests.docs.checkout import Checkout, free_port, make_checkout, plain_environment
from tests.docs.documents import README, sections

DOCUMENTED_PAUSE = 0.5
"""Seconds between two steps of the first run that the README shows."""


@pytest.fixture
def fresh_checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path)


def _first_curl() -> str:
    blocks = [block for section in sections(README) for block in section.blocks]
    return next(block.text for block in blocks if block.text.startswith("curl "))


def _arrivals(command: str) -> Iterator[float]:
    """When each event of a stream arrives."""
    with Popen(["bash", "-c", command], env=plain_environment(), stdout=PIPE, text=True) as curl:
        assert curl.stdout is not None
        yield from (monotonic() for line in curl.stdout if line.startswith("event: updates"))


def test_the_first_run_is_streamed_step_by_step(checkout: Checkout, demo_output: Path) -> None:
    pauses = [after - before for before, after in pairwise(_arrivals(checkout.rewritten(_first_curl())))]
    assert len(pauses) == 2
    assert min(pauses) > DOCUMENTED_PAUSE / 2


def test_serve_answers_on_the_port_of_the_environment(checkout: Checkout, demo_output: Path) -> None:
    assert checkout.run(checkout.rewritten("curl -s http://localhost:8000/ok")) == '{"ok":true,"services":{}}'


def test_serve_sets_up_nothing_when_the_environment_fits(demo_output: Path) -> None:
    assert "Setting up" not in demo_output.read_text()


def test_serve_says_what_is_served_and_where(checkout: Checkout, demo_output: Path) -> None:
    said = demo_output.read_text()
    assert "serves chat, approval, failing, plain, research, task_maistro, pipeline on memory" in said
    assert f"http://127.0.0.1:{checkout.port('8000')}" in said


def test_serve_passes_its_arguments_on(fresh_checkout: Checkout) -> None:
    port = free_port()
    with fresh_checkout.serving(f"./scripts/serve --port {port}", port) as output:
        assert f"http://127.0.0.1:{port}" in output.read_text()


def test_the_demo_server_reads_its_port_from_the_env_file(fresh_checkout: Checkout) -> None:
    port = free_port()
    (fresh_checkout.path / ".env").write_text(f"PORT={port}\n")
    with fresh_checkout.serving("./scripts/serve", port) as output:
        assert f"http://127.0.0.1:{port}" in output.read_text()


@pytest.mark.parametrize("name", ["serve", "test", "check", "build_and_install.sh"])
def test_a_script_can_be_run_and_is_well_formed(checkout: Checkout, name: str) -> None:
    checkout.run(f"test -x scripts/{name} && bash -n scripts/{name}")
