"""What the readers of one run in one process share: its most recent records, and the news of more."""

from collections import deque
from collections.abc import Sequence

from fast_graph.backends.live import LiveLog
from fast_graph.backends.redis.logs import Glance
from fast_graph.backends.redis.wire import END, last_of, unpack, unpack_end
from fast_graph.model.records import Record

MOST_BYTES = 1024 * 1024
"""How much of a run is held for its readers here; those who are further behind read from Redis."""


class Topic(LiveLog):
    """Hears what is published of one run. Holds a stretch of records without a gap, the most recent ones.

    ``last_seq`` is the highest number that is known to exist; ``result`` may be missing although it is closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._live = False
        self._missed = True
        self._held: deque[tuple[Sequence[Record], int]] = deque()
        self._size = 0

    @property
    def stale(self) -> bool:
        """Whether something may have been said that was not heard: look into Redis."""
        return self._missed or not self._live

    def looking(self) -> None:
        """Somebody looks: what was missed until now will be known, unless ``missed`` is said."""
        self._missed = False

    def missed(self) -> None:
        """Something may have been said that was not heard."""
        self._missed = True

    # ---------------------------------------------------------------- what is heard

    def heard(self, message: bytes) -> None:
        if message.startswith(END):
            self.ended(*unpack_end(message))
        elif last_of(message) > self._newest:  # else it is the echo of what this process appended itself
            self.add(unpack(message).records(), len(message))

    def joined(self) -> None:
        self._live, self._missed = True, True
        self.wake()

    def parted(self) -> None:
        self._live = False

    def add(self, records: Sequence[Record], size: int) -> None:
        """Hold a batch of that many bytes, and wake the readers. What does not follow the last one replaces it all."""
        if records[-1].seq <= self._newest:
            return
        if self._held and records[0].seq != self._newest + 1:
            self._held.clear()
            self._size = 0
        self._held.append((records, size))
        self._size += size
        while self._size > MOST_BYTES and len(self._held) > 1:
            self._size -= self._held.popleft()[1]
        self.last_seq = max(self.last_seq, records[-1].seq)
        self.wake()

    def ended(self, last: int, result: bytes | None = None) -> None:
        """Note the end, with the result if it is at hand, and wake the readers."""
        if not self.closed or self.result is None:
            self.closed, self.result = True, result
            self.last_seq = max(self.last_seq, last)
            self.wake()

    def seen(self, glance: Glance) -> None:
        """Note what a look into Redis has shown."""
        if glance.closed and not self.closed:
            self.ended(glance.last)
        elif glance.last > self.last_seq:
            self.last_seq = glance.last
            self.wake()

    # ---------------------------------------------------------------- what readers ask

    def after(self, seq: int) -> Sequence[Record]:
        """All that is held after that number; nothing if the next one is not held."""
        found: list[Sequence[Record]] = []
        for records, _ in reversed(self._held):
            if records[-1].seq <= seq:
                break
            found.append(records)
        if not found or found[-1][0].seq > seq + 1:
            return ()
        oldest = found.pop()
        fresh = oldest[seq + 1 - oldest[0].seq :]  # all of it for who kept up: then it is not copied
        return [*fresh, *(record for records in reversed(found) for record in records)] if found else fresh

    def is_over(self, seq: int) -> bool:
        """Whether nothing comes after that number."""
        return self.closed and seq >= self.last_seq

    @property
    def _newest(self) -> int:
        return self._held[-1][0][-1].seq if self._held else 0
