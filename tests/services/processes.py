"""Server processes for tests: each in a folder and on a port of its own, and ended whatever happens to pytest."""

import itertools
import pwd
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict

import psutil

ROOT = Path(__file__).parents[2]
LOCAL = "127.0.0.1"
PATIENCE = 30.0
"""Seconds until what should happen at once is given up."""


class StartError(Exception):
    """A server did not come up; the message ends with its log."""


class Bench:
    """A temporary folder for servers, and the reaper that clears it when this process closes it or dies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        command = [sys.executable, "-m", "tests.services.reaper", str(folder)]
        self._reaper = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)

    def place(self, name: str) -> Path:
        """A new folder."""
        place = self.folder / f"{name}-{next(self._numbers)}"
        place.mkdir()
        return place

    def started(self, pid: int, goodbye: signal.Signals) -> None:
        """The reaper ends it, politely first, unless it ended before."""
        self._tell(f"{pid} {goodbye:d}")

    def ended(self, pid: int) -> None:
        self._tell(f"{pid} 0")

    def close(self) -> None:
        """Ends what still runs, and removes the folder."""
        self._reaper.communicate()

    def _tell(self, line: str) -> None:
        assert self._reaper.stdin is not None
        self._reaper.stdin.write(line + "\n")
        self._reaper.stdin.flush()


@contextmanager
def open_bench() -> Iterator[Bench]:
    """Not in pytest's own folder: nobody but its owner may look into that one."""
    folder = Path(tempfile.mkdtemp(prefix="fast-graph-tests-"))
    folder.chmod(0o755)
    bench = Bench(folder)
    try:
        yield bench
    finally:
        bench.close()


@dataclass(kw_only=True)
class Server:
    """A program that serves on a port. However it ended, it starts again in the same place and on the same port."""

    bench: Bench
    place: Path
    port: int
    url: str
    command: Sequence[str | Path]
    ready: Callable[[], bool]
    environment: Mapping[str, str] | None = None
    account: pwd.struct_passwd | None = None
    """Whom it runs as, if not as whoever runs the tests."""
    goodbye: signal.Signals = signal.SIGTERM
    """The signal that ends it in good order."""
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Returns when it serves."""
        assert self._child is None, f"{self.url} is running"
        self._child = self._spawn()
        self.bench.started(self._child.pid, self.goodbye)
        wait_until(self._up, f"{self.url} serves")
        return self

    def stop(self) -> None:
        """Ends it in good order, or by force if that takes too long."""
        if self._child is None:
            return
        self.resume()
        self.ask_to_end()
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.kill()

    def ask_to_end(self) -> None:
        self._running.send_signal(self.goodbye)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself or as asked."""
        code = self._running.wait(PATIENCE)
        self.bench.ended(self.pid)
        self._child = None
        return code

    def kill(self) -> None:
        """With its children, at once: nothing of it has time to react."""
        kill_family(self.pid)
        self.wait()

    def pause(self) -> None:
        """It keeps its connections, and does nothing any more."""
        pause_family(self.pid)

    def resume(self) -> None:
        send(family(self.pid), signal.SIGCONT)

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def log(self) -> Path:
        return self.place / "log"

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._child is not None, f"{self.url} is not running"
        return self._child

    def _spawn(self) -> subprocess.Popen[bytes]:
        who = self.account
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT if who is None else self.place,
                env=self.environment,
                start_new_session=True,
                **as_account(who),
            )

    def _up(self) -> bool:
        if self._running.poll() is None:
            return self.ready()
        code = self.wait()
        raise StartError(f"{self.command[0]} ended with {code}:\n{self.log.read_text(errors='replace')[-2000:]}")


class Identity(TypedDict, total=False):
    """What ``subprocess`` wants to know to run a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


def as_account(who: pwd.struct_passwd | None) -> Identity:
    return Identity(user=who.pw_uid, group=who.pw_gid, extra_groups=[]) if who else Identity()


def accepts(port: int) -> bool:
    """Whether something takes connections there."""
    with suppress(OSError), socket.create_connection((LOCAL, port), timeout=PATIENCE):
        return True
    return False


def free_port() -> int:
    """A port below those that systems hand out by themselves, so that a server can come back to it."""
    while True:
        port = random.SystemRandom().randrange(15_000, 30_000)
        with suppress(OSError), socket.socket() as sock:
            sock.bind((LOCAL, port))
            return port


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not so after {PATIENCE} seconds: {what}")
        time.sleep(0.01)


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants; PostgreSQL's are no members of its process group."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def pause_family(pid: int) -> list[psutil.Process]:
    """The parent first, so that it has no further children."""
    send(family(pid)[:1], signal.SIGSTOP)
    members = family(pid)
    send(members, signal.SIGSTOP)
    return members


def kill_family(pid: int) -> None:
    """Returns when none of them is left."""
    members = pause_family(pid)
    send(members, signal.SIGKILL)
    wait_until(lambda: all(map(gone, members)), f"process {pid} and its children are gone")


def send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def gone(process: psutil.Process) -> bool:
    """A zombie is gone too: nothing but its number is left."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
