"""What nodes really did, whoever ran them: lines in a file outside of the servers under test.

The same folder has the gates at which nodes wait until a test lets them pass.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import orjson

FOLDER = "CHAOS_FOLDER"
"""The environment variable that names the folder."""


class Line(NamedTuple):
    """One thing that a node did. The lines of all processes are in the order in which they were written."""

    what: str
    """``begin``, then ``end`` or, if it was cancelled, ``stop``."""
    thread: str
    run: str
    item: str
    """What the run was given, by which a client knows its run without having heard of its id."""
    step: int
    pid: int
    at: float
    """Seconds by a clock that all processes of the machine share."""


class Diary:
    """The file and the gates, from both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "diary"

    @classmethod
    def of_environment(cls) -> "Diary":
        """As a server under test finds it."""
        return cls(Path(os.environ[FOLDER]))

    def write(self, what: str, *, thread: str, run: str, item: str, step: int) -> None:
        """Append a line, in one system call, so that lines of several processes stay whole."""
        line = orjson.dumps([*Line(what, thread, run, item, step, os.getpid(), monotonic())]) + b"\n"
        with self._file.open("ab", buffering=0) as file:
            file.write(line)

    def lines(self, *, what: str | None = None, item: str | None = None) -> Sequence[Line]:
        """All lines so far, or those of one kind, or of one item."""
        text = self._file.read_bytes() if self._file.exists() else b""
        every = (Line(*orjson.loads(line)) for line in text.splitlines())
        return [line for line in every if what in (None, line.what) and item in (None, line.item)]

    def open(self, gate: str) -> None:
        """Let everybody pass who waits there now or later."""
        (self.folder / gate).touch()

    def is_open(self, gate: str) -> bool:
        return (self.folder / gate).exists()


def steps(lines: Iterable[Line]) -> list[int]:
    """The steps of these lines, in order."""
    return [line.step for line in lines]
