"""A checkout as a newcomer has it, whose environment is ready, and the servers that are started in it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import ROOT

COPIED = ("scripts", "graph_demo", "server.py", "pyproject.toml", "constraints.txt", "README.md", ".env.example")
PATIENCE = 60.0
"""Seconds a server may take to start; far more than it needs, for a machine that does much else."""


@dataclass(frozen=True)
class Checkout:
    """The project's files in a directory of their own, on ports of their own."""

    path: Path
    ports: dict[str, int]
    """The port in use, by the port in the documents."""

    def rewritten(self, text: str) -> str:
        """The text with the ports in use in place of the documented ones."""
        return re.sub(r"(localhost:|--port )(\d+)", lambda found: found[1] + str(self.port(found[2])), text)

    def port(self, documented: str) -> int:
        """The port in use for a documented one."""
        return self.ports.setdefault(documented, free_port())

    def run(self, command: str) -> str:
        """What a shell command prints."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.path, env=plain_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def serving(self, command: str, port: int, **environment: str) -> Iterator[Path]:
        """A server that the command starts, from when it listens; the file that gets what it prints."""
        output = self.path / f"server-{port}.out"
        with output.open("w") as out, _started(command, self.path, environment, out.fileno()) as server:
            _wait_for(port, server, output)
            yield output


@contextmanager
def _started(command: str, path: Path, environment: dict[str, str], out: int) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=path, env=plain_environment() | environment, stdout=out, stderr=out
    )
    try:
        yield server
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _wait_for(port: int, server: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _listens(port):
        assert server.poll() is None, f"The server has stopped:\n{output.read_text()}"
        assert time.monotonic() < deadline, f"Nothing listens on port {port}:\n{output.read_text()}"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_checkout(path: Path) -> Checkout:
    """A copy of the project whose ``.venv`` is the present environment."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, path / name)
    programs = path / ".venv" / "bin"
    programs.mkdir(parents=True)
    _write_program(programs / "python", sys.executable)
    _write_program(programs / "uvicorn", f"{sys.executable} -m uvicorn")
    _write_program(programs / "fast-graph", f"{sys.executable} -m fast_graph.cli")
    checkout = Checkout(path, {})
    checkout.run('. scripts/_env.sh && env_print "" > "$env_stamp"')
    return checkout


def _write_program(file: Path, command: str) -> None:
    file.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    file.chmod(0o755)


def plain_environment() -> dict[str, str]:
    """The environment without settings of ours."""
    ours = ("FAST_GRAPH_", "POSTGRE_", "REDIS_", "HOST", "PORT")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
