"""Going on when the backend is away for a while: a database restarts, a cache fails over, and runs outlive both."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fast_graph.model.errors import UnavailableError

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two tries: twice as long after each, up to the second."""

log = logging.getLogger("fast_graph.engine")


async def insist(step: Callable[[], Awaitable[T]], *, patience: float = float("inf")) -> T:
    """Repeat a step until the backend answers, or ``patience`` seconds are over.

    The step may take effect more than once. Raises UnavailableError, and whatever else the step raises.
    """
    now = asyncio.get_running_loop().time
    ends, pause = now() + patience, FIRST_PAUSE
    while True:
        try:
            return await step()
        except UnavailableError as error:
            if now() + pause > ends:
                raise
            log.warning("backend unavailable, trying again: %s", error)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
