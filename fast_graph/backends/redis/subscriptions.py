"""One connection to Redis for everything a process listens to, however many readers there are."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import redis

from fast_graph.backends.redis.pausing import pause_after

PING = 5.0
"""Seconds without a change of channels after which a sign of life is asked for."""

SILENCE = 12.0
"""Seconds without any message after which the connection counts as dead."""

PATIENCE = 1.0
"""Seconds that a new hearer waits for its subscription; after that it is told as soon as it holds."""

log = logging.getLogger("fast_graph.redis")


class Connection(Protocol):
    """What is used of redis-py's connections: no more than one message at a time, and no memory of its own."""

    async def connect(self) -> None: ...

    async def disconnect(self, nowait: bool = ...) -> None: ...  # noqa: FBT001 - theirs

    async def send_command(self, *args: str | bytes) -> None: ...

    async def read_response(self) -> Any: ...


class Hearer(Protocol):
    """What listens to one channel: plain calls that must not block."""

    def heard(self, message: bytes, /) -> None:
        """Something was published."""
        ...

    def joined(self) -> None:
        """From here on everything is heard; what was published before, at first or since ``parted``, is not."""
        ...

    def parted(self) -> None:
        """The connection is lost, and what is published with it, until ``joined``."""
        ...


class Subscriptions:
    """Who listens to which channel. While ``run`` runs, a lost connection is made again."""

    def __init__(self, connect: Callable[[], Connection], *, timeout: float) -> None:
        self._connect = connect
        self._timeout = timeout
        self._hearers: dict[bytes, Hearer] = {}
        self._session: Session | None = None

    def join(self, channel: bytes, hearer: Hearer) -> None:
        """Listen to a channel. One hearer per channel; takes effect as ``settled`` says."""
        self._hearers[channel] = hearer
        if self._session is not None:
            self._session.change(channel)

    def leave(self, channel: bytes) -> None:
        """Listen to it no more."""
        del self._hearers[channel]
        if self._session is not None:
            self._session.change(channel, soon=False)

    @property
    def channels(self) -> Sequence[bytes]:
        """The channels that somebody listens to."""
        return tuple(self._hearers)

    async def settled(self, channel: bytes) -> None:
        """Wait until the channel is listened to: not for long, and not at all without a connection."""
        if self._session is not None:
            await self._session.settled(channel)

    async def run(self, started: asyncio.Event) -> None:
        """Listen until cancelled. Sets ``started`` at the first connection."""
        failures = 0
        while True:
            try:
                failures = 1 if await self._listen(started, again=failures > 0) else failures + 1
            except Exception:  # whatever it was, nobody else would listen again
                log.exception("redis subscription failed")
                failures += 1
            await asyncio.sleep(pause_after(failures))

    async def _listen(self, started: asyncio.Event, *, again: bool) -> bool:
        """Listen for as long as one connection lasts; whether it came to be."""
        connection = self._connect()
        lost: BaseException | None = None
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
            if again:
                log.info("redis connection is back")
            self._session = Session(connection, self._hearers)
            started.set()
            await self._session.run()
        except* (redis.RedisError, OSError) as errors:
            lost = errors.exceptions[0]
        finally:
            established, self._session = self._session is not None, None
            await connection.disconnect(nowait=True)
        if established or not again:
            log.warning("redis connection lost: %s: %s", type(lost).__name__, lost)
        return established


class Session:
    """One connection's life: which channels were asked for, and which of them Redis has confirmed."""

    def __init__(self, connection: Connection, hearers: Mapping[bytes, Hearer]) -> None:
        self._connection = connection
        self._hearers = hearers
        self._changed = set(hearers)
        self._work = asyncio.Event()
        self._work.set()
        self._asked: set[bytes] = set()
        self._unanswered: Counter[bytes] = Counter()
        self._live: dict[bytes, asyncio.Event] = {}

    def change(self, channel: bytes, *, soon: bool = True) -> None:
        """Somebody joined or left, which need not be said on its own."""
        self._changed.add(channel)
        if soon:
            self._work.set()

    async def settled(self, channel: bytes) -> None:
        """Wait until Redis has confirmed the channel; not for long."""
        live = self._live.setdefault(channel, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await live.wait()

    async def run(self) -> None:
        """Until the connection is lost, which raises."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._speak())
                tasks.create_task(self._hear())
        finally:
            for hearer in self._hearers.values():
                hearer.parted()
            for live in self._live.values():
                live.set()

    async def _speak(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PING):
                    await self._work.wait()
            except TimeoutError:
                await self._connection.send_command("PING")
            await self._catch_up()

    async def _catch_up(self) -> None:
        """Ask for what was joined, and give back what was left, since the last time."""
        self._work.clear()
        changed, self._changed = self._changed, set()
        wanted = {channel for channel in changed if channel in self._hearers}
        held = wanted & self._asked
        await self._send("SUBSCRIBE", wanted - held)
        await self._send("UNSUBSCRIBE", (changed - wanted) & self._asked)
        for channel in held:
            self._confirm(channel)

    async def _send(self, command: str, channels: Collection[bytes]) -> None:
        if not channels:
            return
        self._asked.symmetric_difference_update(channels)
        self._unanswered.update(channels)
        await self._connection.send_command(command, *channels)

    async def _hear(self) -> None:
        while True:
            async with asyncio.timeout(SILENCE):
                reply = await self._connection.read_response()
            match reply:
                case [b"message", channel, message]:
                    self._tell(channel, message)
                case [b"subscribe" | b"unsubscribe", channel, _]:
                    self._unanswered[channel] -= 1
                    self._confirm(channel)

    def _tell(self, channel: bytes, message: bytes) -> None:
        hearer = self._hearers.get(channel)
        if hearer is None:
            return
        try:
            hearer.heard(message)
        except Exception:  # one hearer's trouble is not the others'
            log.exception("redis message not understood: channel=%s", channel.decode())

    def _confirm(self, channel: bytes) -> None:
        """Tell the hearer that it hears everything, unless another answer is on its way."""
        if self._unanswered[channel]:
            return
        del self._unanswered[channel]
        if channel not in self._asked:
            self._live.pop(channel, None)
        elif channel in self._hearers:
            self._hearers[channel].joined()
            self._live.setdefault(channel, asyncio.Event()).set()
