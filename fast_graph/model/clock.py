"""Time as an argument: whatever needs the time is given a clock."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment, in UTC."""


def system_clock() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)  # noqa: TID251 - the one place that reads it
