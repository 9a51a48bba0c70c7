"""Signals in memory: a call to each listener."""

from collections.abc import Iterator
from contextlib import contextmanager

from fast_graph.storage.signals import Listener, Signal


class MemorySignals:
    """The reference of the Signals port."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    async def send(self, signal: Signal) -> None:
        for listener in tuple(self._listeners):
            listener(signal)

    @contextmanager
    def listen(self, listener: Listener) -> Iterator[None]:
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
