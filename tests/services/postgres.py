"""PostgreSQL for tests: on TCP only, and without the care for a loss of power. What is committed outlives a kill."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.services.processes import LOCAL, Bench, Server, StartError, as_account, free_port
from tests.services.programs import POSTGRES, find

Account = pwd.struct_passwd


def postgres_server(bench: Bench) -> Server:
    """A new server, not started yet."""
    account = unprivileged()
    program = _program(bench, account)
    place, port = _place(bench, "postgres", account), free_port()
    _copy(_template(bench, program, account), place / "data")
    url = f"postgresql://postgres@{LOCAL}:{port}/postgres"
    options = {
        "port": port,
        "listen_addresses": LOCAL,
        "unix_socket_directories": "",  # their paths may be too long
        "max_connections": 200,
        "fsync": "off",
        "full_page_writes": "off",
        "dynamic_shared_memory_type": "mmap",  # in its folder, so that a kill leaves nothing outside
        "log_min_messages": "warning",
    }
    return Server(
        bench=bench,
        place=place,
        port=port,
        url=url,
        command=[program, "-D", place / "data", *(f"--{name}={value}" for name, value in options.items())],
        ready=lambda: answers(url),
        environment=_environment(),
        account=account,
        goodbye=signal.SIGINT,  # does not wait for clients to leave
    )


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """The URL of a new, empty database on that server; it is gone afterwards, whoever is still connected."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def unprivileged() -> Account | None:
    """PostgreSQL refuses to run as root: then somebody who can do little."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise StartError("PostgreSQL cannot run as root, and there is neither a user postgres nor nobody")


def _program(bench: Bench, account: Account | None) -> Path:
    """The program, or a copy of it if the account cannot reach it (a virtual environment below /root)."""
    program = find(POSTGRES)
    if account is None or _can_run(program, account):
        return program
    package, libraries = program.parents[2], program.parents[2].with_name(f"{program.parents[2].name}.libs")
    copy = bench.folder / "postgres-program"
    for part in (package, libraries):
        if part.exists() and not (copy / part.name).exists():
            shutil.copytree(part, copy / part.name, symlinks=True)
    return copy / program.relative_to(package.parent)


def _can_run(program: Path, account: Account) -> bool:
    try:
        return (
            subprocess.run([program, "--version"], capture_output=True, cwd="/", **as_account(account)).returncode == 0
        )
    except PermissionError:
        return False


def _place(bench: Bench, name: str, account: Account | None) -> Path:
    place = bench.place(name)
    if account:
        os.chown(place, account.pw_uid, account.pw_gid)
    return place


def _template(bench: Bench, program: Path, account: Account | None) -> Path:
    """The data of a new server: made once, since that takes seconds."""
    template = bench.folder / "postgres-template"
    if not template.exists():
        place = _place(bench, "initdb", account)
        _initialise(place / "data", program, account)
        (place / "data").rename(template)
    return template


def _initialise(data: Path, program: Path, account: Account | None) -> None:
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"]
    done = subprocess.run(
        [program.with_name("initdb"), "-D", data, *options],
        cwd=data.parent,
        env=_environment(),
        capture_output=True,
        text=True,
        **as_account(account),
    )
    if done.returncode:
        raise StartError(f"initdb failed:\n{done.stdout}{done.stderr}")


def _copy(template: Path, data: Path) -> None:
    subprocess.run(["cp", "-a", template, data], check=True)


def _environment() -> dict[str, str]:
    """Without the settings of somebody's own PostgreSQL."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**ours, "LC_ALL": "C", "TZ": "UTC"}
