"""A TCP proxy that fails on demand: it cuts, refuses, delays or holds what passes between a client and a service."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from types import TracebackType
from typing import Any, Self

from tests.services.processes import LOCAL, PATIENCE, free_port

CHUNK = 65_536


class FaultProxy:
    """Stands before a local port. It has a thread of its own, so it works while a test blocks its event loop."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self._lag = 0.0
        self._flowing = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name=f"proxy of {target}")

    def __enter__(self) -> Self:
        self._flowing.set()
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Breaks all connections; new ones work."""
        self._do(self._cut())

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Connections break, and nothing listens here."""
        self._do(self._refuse())
        try:
            yield
        finally:
            self._do(self._listen())

    @contextmanager
    def delaying(self, seconds: float) -> Iterator[None]:
        """Everything arrives this much later, in both directions."""
        self._lag = seconds
        try:
            yield
        finally:
            self._lag = 0.0

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Connections stay and open, and nothing passes; in the end everything does."""
        self._do(self._hold())
        try:
            yield
        finally:
            self._do(self._let_go())

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(PATIENCE)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._converse, LOCAL, self.port)

    async def _refuse(self) -> None:
        self._listener.close()
        await self._cut()

    async def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _hold(self) -> None:
        self._flowing.clear()

    async def _let_go(self) -> None:
        self._flowing.set()

    async def _close(self) -> None:
        self._flowing.set()
        await self._refuse()
        await asyncio.gather(*self._conversations)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        self._open.add(writer)
        try:
            await self._connect(reader, writer)
        finally:
            await self._finish(writer)
            self._conversations.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, questions = await asyncio.open_connection(LOCAL, self.target)
        except OSError:
            return
        self._open.add(questions)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, questions))
                group.create_task(self._pass(answers, writer))
        except* OSError:  # one side was lost, so the other loses it too
            questions.transport.abort()
            writer.transport.abort()
        finally:
            await self._finish(questions)

    async def _finish(self, writer: asyncio.StreamWriter) -> None:
        """What was read is delivered, unless the connection is cut."""
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        self._open.discard(writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await asyncio.sleep(self._lag)
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        if not writer.transport.is_closing():
            writer.write_eof()
