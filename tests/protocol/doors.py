"""Doors inside of nodes: a test knows when a run has come to one, and the run goes on when the test opens it."""

import asyncio
from concurrent.futures import Future
from uuid import uuid4

from tests.protocol.serving import PATIENCE


class Door:
    """Holds up whoever comes to it until it is opened. Works across threads and event loops."""

    def __init__(self) -> None:
        self.name = str(uuid4())
        self._reached: Future[None] = Future()
        self._opened: Future[None] = Future()

    async def go_through(self) -> None:
        """Wait until it is opened; what a node does."""
        if not self._reached.done():
            self._reached.set_result(None)
        await asyncio.shield(asyncio.wrap_future(self._opened))

    async def reached(self) -> None:
        """Wait until a node has come to it; what a test does."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(asyncio.wrap_future(self._reached))

    def wait_until_reached(self) -> None:
        """The same, for tests that are no coroutines."""
        self._reached.result(PATIENCE)

    def open(self) -> None:
        """Let everybody through from now on."""
        if not self._opened.done():
            self._opened.set_result(None)


class Doors:
    """All doors, by their names, which is how states speak of them."""

    def __init__(self) -> None:
        self._doors: dict[str, Door] = {}

    def new(self) -> Door:
        """A closed door."""
        door = Door()
        self._doors[door.name] = door
        return door

    async def go_through(self, name: str | None) -> None:
        """Go through the door of that name; no name, no door."""
        if name is not None:
            await self._doors[name].go_through()
