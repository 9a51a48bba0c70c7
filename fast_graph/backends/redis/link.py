"""A process's connections to Redis: a bounded pool for commands, and one connection that listens."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha1
from types import TracebackType
from typing import Any, Self

import redis
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.redis.pipe import Argument, Pipe
from fast_graph.backends.redis.subscriptions import Subscriptions
from fast_graph.model.errors import ConfigurationError, UnavailableError

PROBE = 1.0
"""Seconds that a health probe may take."""

UNREACHABLE = (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, redis.OutOfMemoryError, OSError)
"""What a server that is gone, silent, starting, full or only a replica leads to; a ``TimeoutError`` is an OSError."""


@dataclass(frozen=True)
class Script:
    """A Lua script, sent by its hash."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


class RedisLink:
    """Enter it to use it, once at a time; what is built upon it may be built before.

    Entering raises ConfigurationError if Redis does not answer. Later, whatever cannot be done for want of Redis
    raises UnavailableError: at once if nothing listens there, else when ``options.timeout`` is over. It works again
    once Redis is back.
    """

    def __init__(self, options: RedisOptions) -> None:
        self.prefix = options.key_prefix
        self.where = options.where
        self.subscriptions = Subscriptions(self._connection, timeout=options.timeout)
        self._options = options

    async def __aenter__(self) -> Self:
        # Each life has its own event loop, perhaps.
        async with AsyncExitStack() as stack:
            self._pool = self._options.pool()
            stack.push_async_callback(self._pool.aclose)
            self._client: Any = Redis(connection_pool=self._pool)
            self._connections = asyncio.Semaphore(self._options.max_connections)
            await self._greet()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._pipe = Pipe(self._connection, timeout=self._options.timeout)
            stack.callback(tasks.create_task(self._pipe.run()).cancel)
            started = asyncio.Event()
            stack.callback(tasks.create_task(self.subscriptions.run(started)).cancel)
            with suppress(TimeoutError):
                async with self._limit():
                    await started.wait()
                    for channel in self.subscriptions.channels:
                        await self.subscriptions.settled(channel)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def once(self, script: Script, keys: Sequence[str], *args: Argument) -> Any:
        """Run a script. After UnavailableError, whether it ran is not known."""
        with _translated():
            return await self._run(script, keys, args)

    async def call(self, script: Script, keys: Sequence[str], *args: Argument) -> Any:
        """As ``once``, for a script that does no harm if it runs twice: a broken connection is made again."""
        with _translated():
            try:
                return await self._run(script, keys, args)
            except redis.ConnectionError:
                return await self._run(script, keys, args)

    async def do(self, *command: Argument) -> Any:
        """One command; redis-py's answer to it."""
        with _translated():
            return await self._send(*command)

    async def publish(self, channel: bytes, message: bytes) -> None:
        """Tell everyone who listens to the channel."""
        with _translated():
            await self._pass_on("PUBLISH", channel, message)

    async def ping(self) -> None:
        """Raises UnavailableError if Redis does not answer within a second."""
        with _translated():
            async with asyncio.timeout(PROBE):
                await self._pass_on("PING")

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        try:
            return await self._pass_on("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self._pass_on("EVAL", script.text, len(keys), *keys, *args)

    async def _pass_on(self, *command: Argument) -> Any:
        """Something small, along with what others send."""
        try:
            async with self._limit():
                return await self._pipe.send(*command)
        except (TimeoutError, redis.ReadOnlyError):
            # It is silent, or has become a replica, which keeps its connections: ask for the address again.
            self._pipe.drop()
            raise

    async def _send(self, *command: Argument) -> Any:
        # Whoever waits longest for a connection gets the next one; redis-py's own pools do not promise that.
        async with self._limit(), self._connections:
            return await self._client.execute_command(*command)

    def _limit(self) -> asyncio.Timeout:
        return asyncio.timeout(self._options.timeout)

    def _connection(self) -> Any:
        """A connection beside the pool's."""
        make: Callable[[], Any] = self._pool.make_connection
        return make()

    async def _greet(self) -> None:
        try:
            await self._send("PING")
        except redis.AuthenticationError as error:
            raise ConfigurationError(f"Redis at {self.where} refuses the user name or the password") from error
        except UNREACHABLE as error:
            raise ConfigurationError(
                f"Redis at {self.where} does not answer: check that it runs, and that host, port and TLS are right"
            ) from error
        except (redis.RedisError, TypeError) as error:
            raise ConfigurationError(f"Redis at {self.where} refuses the connection: {error}") from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except UNREACHABLE as error:
        raise UnavailableError("The stream server cannot be reached at the moment") from error
