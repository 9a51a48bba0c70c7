"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2025, 1, 1, tzinfo=UTC)


class OwnedClock:
    """Give it to a backend as its clock; nothing expires or becomes due unless the test says so."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move on (or back, when negative), and tell the new time."""
        self._now += timedelta(seconds=seconds)
        return self._now
