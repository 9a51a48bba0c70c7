"""What the readers of one run's log wait for in this process, wherever the log itself is kept."""

import asyncio


class LiveLog:
    """How far a log has come and how it ended, and who is waiting for more."""

    def __init__(self) -> None:
        self.last_seq = 0
        self.result: bytes | None = None
        self.closed = False
        self.readers = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def wake(self) -> None:
        """Let every waiting reader look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def change(self, idle: float) -> bool:
        """Wait until there is something to look at; False after ``idle`` seconds."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(idle):
                await waiting
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiting)
        return True

    async def outcome(self, idle: float) -> bytes | None:
        """The result, as soon as the log is closed; ``None`` after ``idle`` seconds without a change."""
        while not self.closed:
            if not await self.change(idle):
                return None
        return self.result
