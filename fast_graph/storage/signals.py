"""The port of signals: doorbells between parts that may be on different machines."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class RunsReady:
    """Runs may be waiting to be claimed, or one will be from ``due_at`` on."""

    due_at: datetime | None = None


@dataclass(frozen=True)
class CancelRequested:
    """Somebody wants these runs to stop."""

    run_ids: Sequence[str]


Signal = RunsReady | CancelRequested


class Listener(Protocol):
    """What a listener is told: a plain call that must not block."""

    def __call__(self, signal: Signal, /) -> None:
        """Take note of the signal."""
        ...


class Signals(Protocol):
    """Hints only: a lost signal costs latency, never truth."""

    async def send(self, signal: Signal) -> None:
        """Tell every listener, on every machine."""
        ...

    def listen(self, listener: Listener) -> AbstractContextManager[None]:
        """Call ``listener`` for each signal while the context lasts."""
        ...
