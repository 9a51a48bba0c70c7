"""The Signals port on Redis: one channel that every process listens to."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

import orjson

from fast_graph.backends.redis.link import RedisLink
from fast_graph.model.errors import UnavailableError
from fast_graph.storage.signals import CancelRequested, Listener, RunsReady, Signal

log = logging.getLogger("fast_graph.redis")


class RedisSignals:
    """The listeners of this process are rung at once; those of others through Redis, while it can be reached.

    Lives as long as its link; made before the link is entered, it hears everything from the start.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._channel = f"{link.prefix}:signals".encode()
        self._listeners: list[Listener] = []
        self._self = uuid4().hex
        self._reaches_others = True
        link.subscriptions.join(self._channel, self)

    async def send(self, signal: Signal) -> None:
        self._ring(signal)
        try:
            await self._link.publish(self._channel, _encode(signal, self._self))
        except UnavailableError as error:
            if self._reaches_others:
                log.warning("signals reach this process only: %s", error)
            self._reaches_others = False
        else:
            self._reaches_others = True

    @contextmanager
    def listen(self, listener: Listener) -> Iterator[None]:
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def heard(self, message: bytes) -> None:
        """From Redis: other processes' signals, and the echo of our own."""
        said = orjson.loads(message)
        if said["from"] != self._self and (signal := _decode(said)) is not None:
            self._ring(signal)

    def joined(self) -> None:
        """What was missed is seen at the next heartbeat."""

    def parted(self) -> None:
        """As ``joined``."""

    def _ring(self, signal: Signal) -> None:
        for listener in tuple(self._listeners):
            listener(signal)


def _encode(signal: Signal, sender: str) -> bytes:
    match signal:
        case RunsReady(due_at):
            return orjson.dumps({"from": sender, "signal": "runs_ready", "due_at": due_at})
        case CancelRequested(run_ids):
            return orjson.dumps({"from": sender, "signal": "cancel_requested", "run_ids": list(run_ids)})


def _decode(said: dict[str, object]) -> Signal | None:
    """None for what a later version says and this one does not know."""
    match said:
        case {"signal": "runs_ready", "due_at": str(due_at)}:
            return RunsReady(datetime.fromisoformat(due_at))
        case {"signal": "runs_ready"}:
            return RunsReady()
        case {"signal": "cancel_requested", "run_ids": list(run_ids)}:
            return CancelRequested(run_ids)
        case _:
            return None
