"""What the services leave behind, and what they start: nothing that nobody asked for."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.services.processes import ROOT, gone, wait_until

WAITING = """
import os
import signal
from pathlib import Path
import psutil

def test_waits(bench, own_redis, own_postgres, session_redis, start_app):
    start_app("tests.integration.services.toy:app")
    own_redis.pause()
    own_postgres.pause()
    pids = [child.pid for child in psutil.Process().children(recursive=True)]
    Path(os.environ["REPORT"] + ".new").write_text("\\n".join([str(bench.folder), *map(str, pids)]))
    os.rename(os.environ["REPORT"] + ".new", os.environ["REPORT"])
    signal.alarm(60)
    signal.pause()
"""

ALONE = """
import psutil

def test_is_alone():
    assert psutil.Process().children() == []
"""

MISSING = """
from tests.services import plugin
from tests.services.programs import Program

plugin.NGINX = Program(name="unobtainium", commands=(), wheels=(), package="", formula="")

def test_runs(): ...
def test_needs_more(start_nginx): ...
"""


@contextmanager
def pytest_alone(folder: Path, text: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Runs one file of tests by itself."""
    file = folder / "test_inner.py"
    file.write_text(text)
    options = ["-p", "tests.services.plugin", "-p", "no:cacheprovider", f"--rootdir={folder}", "-c", os.devnull]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, file],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_remains_of_a_killed_pytest(tmp_path: Path, how: signal.Signals) -> None:
    report = tmp_path / "report"
    with pytest_alone(tmp_path, WAITING, REPORT=str(report)) as killed:
        wait_until(report.exists, "the inner test waits")
        folder, *pids = report.read_text().splitlines()
        processes = [psutil.Process(int(pid)) for pid in pids]
        killed.send_signal(how)
        killed.wait()
    assert len(processes) > 6
    wait_until(lambda: all(map(gone, processes)), "all processes are gone")
    wait_until(lambda: not Path(folder).exists(), "the folder is gone")


def test_nothing_starts_unless_a_test_asks(tmp_path: Path) -> None:
    with pytest_alone(tmp_path, ALONE) as done:
        assert "1 passed" in done.communicate()[0]


def test_no_test_runs_if_a_program_cannot_be_had(tmp_path: Path) -> None:
    with pytest_alone(tmp_path, MISSING, FASTGRAPH_TEST_APT="0") as done:
        output = done.communicate()[0]
    assert done.returncode == 4
    assert "need a real unobtainium" in output
    assert "passed" not in output
