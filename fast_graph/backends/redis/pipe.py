"""One connection on which any number of commands are under way at once.

What is asked for in one turn of the event loop goes out in one write: for small commands the write is most of the cost.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import redis

from fast_graph.backends.redis.pausing import pause_after

Argument = bytes | str | int

TRIES = 3
"""How often a connection is looked for: the try that is under way may have begun before the server was back."""

log = logging.getLogger("fast_graph.redis")


class Connection(Protocol):
    """What is used of redis-py's connections."""

    async def connect(self) -> None: ...

    async def disconnect(self, nowait: bool = ...) -> None: ...  # noqa: FBT001 - theirs

    def pack_command(self, *args: Argument) -> list[bytes]: ...

    async def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...  # noqa: FBT001

    async def read_response(self) -> Any: ...


class Pipe:
    """Commands that are answered at once: one that waits in Redis would hold up all that come after it."""

    def __init__(self, connect: Callable[[], Connection], *, timeout: float) -> None:
        self._connect = connect
        self._timeout = timeout
        self._session: Session | None = None
        self._tried = asyncio.Event()
        """Whether a connection was tried for since somebody wanted one."""
        self._wanted = asyncio.Event()

    async def send(self, *command: Argument) -> Any:
        """Redis' answer. Raises redis.ResponseError, and redis.ConnectionError once the connection is lost."""
        for _ in range(TRIES):
            if self._session is not None:
                return await self._session.send(command)
            self._tried.clear()
            self._wanted.set()
            await self._tried.wait()
        raise redis.ConnectionError("There is no connection")

    def drop(self) -> None:
        """Begin anew with another connection: this one has been silent for too long."""
        if self._session is not None:
            self._session.silent.set()

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        failures = 0
        while True:
            try:
                failures = 0 if await self._live() else failures + 1
            except Exception:  # whatever it was, nobody else would connect again
                log.exception("redis connection failed")
                failures += 1
            if failures:
                self._tried.set()
                await self._until_wanted(pause_after(failures))

    async def _until_wanted(self, patience: float) -> None:
        self._wanted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._wanted.wait()

    async def _live(self) -> bool:
        """For as long as one connection lasts; whether it came to be."""
        connection = self._connect()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
            self._session = Session(connection)
            self._tried.set()
            await self._session.run()
        except* (redis.RedisError, OSError):
            pass  # who waits for an answer is told; the subscriptions' connection has it in the log
        finally:
            established, self._session = self._session is not None, None
            await connection.disconnect(nowait=True)
        return established


class Session:
    """One connection's life."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._words: list[bytes] = []
        self._spoken = asyncio.Event()
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._over = False
        self.silent = asyncio.Event()
        """Set it to end the session."""

    async def send(self, command: tuple[Argument, ...]) -> Any:
        """The answer to a command."""
        if self._over:
            raise redis.ConnectionError("The connection is lost")
        answer = asyncio.get_running_loop().create_future()
        self._words += self._connection.pack_command(*command)
        self._asked.append(answer)
        self._spoken.set()
        return await answer

    async def run(self) -> None:
        """Until the connection is lost, which raises."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._speak())
                tasks.create_task(self._hear())
                tasks.create_task(self._end_if_silent())
        finally:
            self._over = True
            for answer in self._asked:
                if not answer.done():
                    answer.set_exception(redis.ConnectionError("The connection is lost"))

    async def _speak(self) -> None:
        while True:
            await self._spoken.wait()
            self._spoken.clear()
            words, self._words = self._words, []
            await self._connection.send_packed_command(words, check_health=False)

    async def _hear(self) -> None:
        while True:
            try:
                reply = await self._connection.read_response()
            except redis.ResponseError as error:
                reply = error
            answer = self._asked.popleft()
            if answer.done():  # who asked has gone
                continue
            if isinstance(reply, Exception):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

    async def _end_if_silent(self) -> None:
        await self.silent.wait()
        raise redis.ConnectionError("The server is silent")
