"""The database's time, so that machines whose clocks differ agree about when a lease ends."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fast_graph.model.clock import Clock


class SharedClock:
    """This machine's clock, put right by the database's once it has been asked."""

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return self._own() + self._ahead

    async def compare(self, connection: AsyncConnection) -> None:
        """Ask the database what time it is."""
        before = self._own()
        there = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
        self._ahead = there - (before + (self._own() - before) / 2)
