"""The place of a lease's holder in the log it writes. Decides numbers and cuts; does no I/O."""

import asyncio
from collections import deque
from collections.abc import Sequence

from fast_graph.backends.redis.logs import OPEN_TTL, Entry
from fast_graph.backends.redis.wire import Batch
from fast_graph.model.records import Event

ATTEMPT = 1_000_000_000
"""Where the numbers of a later attempt begin, per attempt, if Redis has lost those of the earlier ones.

A reader who has seen some of these numbers is then told of the loss, instead of taking new events for old ones.
"""


GRAINS = 64
"""How finely a log's weight is known: it is cut in stretches of this part of its bound."""


def begins_an_attempt(seq: int) -> bool:
    """Whether no event came before this one, as far as its writer knew."""
    return seq % ATTEMPT == 1


class Weights:
    """How much a log weighs, in stretches, so as to know where to cut it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._grain = most // GRAINS
        self._stretches: deque[tuple[int, int]] = deque()
        self._total = 0
        self._keep_from = 0

    def __len__(self) -> int:
        return len(self._stretches)

    def add(self, last: int, size: int) -> None:
        """A batch that ends with this number."""
        if self._stretches and self._stretches[-1][1] + size <= self._grain:
            _, weight = self._stretches.pop()
            self._stretches.append((last, weight + size))
        else:
            self._stretches.append((last, size))
        self._total += size

    def cut(self) -> int:
        """The first number to keep so that the rest fits. The newest stretch stays, however heavy."""
        while self._total > self._most and len(self._stretches) > 1:
            last, weight = self._stretches.popleft()
            self._total -= weight
            self._keep_from = last + 1
        return self._keep_from


class Writer:
    """What one holder knows of its log. One append at a time: ``turn``."""

    def __init__(self, token: int, *, most_bytes: int) -> None:
        self.token = token
        self.turn = asyncio.Lock()
        self.synced = False
        """Whether it knows what the log has: not before it was opened, nor after a failure."""
        self.last = 0
        self._ms = 0
        self._most_bytes = most_bytes
        self._weights = Weights(most_bytes)
        self._renew_at = 0.0
        self._doubtful: Batch | None = None

    def sync(self, entries: Sequence[Entry]) -> None:
        """Take note of what the log has. What it has lost is not numbered again."""
        self._weights = Weights(self._most_bytes)
        for entry in entries:
            self._weights.add(entry.last, entry.size)
        if entries:
            self.last = max(self.last, entries[-1].last)
            self._ms = max(self._ms, entries[-1].ms)
        elif not self.last:
            self.last = (self.token - 1) * ATTEMPT
        self.synced, self._renew_at = True, 0.0

    def batch(self, events: Sequence[Event], ms: int) -> Batch:
        """Number events; those whose fate is unknown, when they are appended again, keep their numbers."""
        if self._doubtful is not None and list(self._doubtful.events) == list(events):
            return self._doubtful
        self._ms = max(self._ms, ms)
        return Batch(self.last + 1, self._ms, events)

    def has(self, batch: Batch) -> bool:
        """Whether the batch was stored after all."""
        return batch is self._doubtful and self.last >= batch.last

    def send(self, batch: Batch, size: int, now: float) -> tuple[int, bool]:
        """Before a batch is sent: the first number to keep, and whether the time to live is to begin anew.

        From here on its fate is unknown, until ``sent``.
        """
        self._doubtful, self.synced = batch, False
        self._weights.add(batch.last, size)
        return self._weights.cut(), now >= self._renew_at

    def sent(self, batch: Batch, now: float, *, renewed: bool) -> None:
        """The batch is stored."""
        self._doubtful, self.synced = None, True
        self.last = batch.last
        if renewed:
            self._renew_at = now + OPEN_TTL / 2
