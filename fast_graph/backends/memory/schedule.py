"""Which pending run may start next: one lane per thread, the oldest due run first. Decides; awaits nothing."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heapify, heappop, heappush

from fast_graph.model.records import Run

MOST_OVERTAKEN = 1_000
"""How many places that are no longer a lane's head may be kept before they are swept."""

Place = tuple[datetime, str]
"""A run's place in the queue: when it was created, and its id."""


@dataclass
class Lane:
    """The due runs of one thread, oldest first, and what keeps them from starting."""

    waiting: list[Place] = field(default_factory=list)
    running: str | None = None
    held: bool = False

    @property
    def head(self) -> Place | None:
        """The run that may start now, if any may."""
        return self.waiting[0] if self.waiting and self.running is None and not self.held else None

    @property
    def empty(self) -> bool:
        """Whether nothing would be lost with the lane."""
        return not self.waiting and self.running is None and not self.held


class Schedule:
    """The pending runs of all threads.

    ``_ready`` may hold places that are no longer the head of their lane: they are skipped when they come up,
    which is cheaper than searching for them when a lane changes.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._ready: list[tuple[Place, str]] = []
        self._delayed: list[tuple[datetime, Place, str]] = []

    def add(self, run: Run) -> None:
        """Queue a pending run."""
        place = (run.created_at, run.run_id)
        if run.due_at is not None:
            heappush(self._delayed, (run.due_at, place, run.thread_id))
        else:
            self._join(place, run.thread_id)

    def remove(self, run: Run) -> None:
        """Take a pending run out of the queue."""
        place = (run.created_at, run.run_id)
        lane = self._lanes.get(run.thread_id)
        if lane is not None and place in lane.waiting:
            lane.waiting.remove(place)
            self._offer(run.thread_id, lane)
        elif any(entry[1] == place for entry in self._delayed):
            self._delayed = [entry for entry in self._delayed if entry[1] != place]
            heapify(self._delayed)

    def take(self, now: datetime, limit: int) -> Sequence[str]:
        """Start the oldest runs that may start, at most ``limit``."""
        self._wake(now)
        taken: list[str] = []
        while self._comes_up() and len(taken) < limit:
            place, thread_id = heappop(self._ready)
            self._start(self._lanes[thread_id], place)
            taken.append(place[1])
        return taken

    def take_one(self, run: Run, now: datetime) -> bool:
        """Start this run if it may start: due, nothing runs on its thread, and none there waits longer."""
        self._wake(now)
        lane = self._lanes.get(run.thread_id)
        place = (run.created_at, run.run_id)
        if lane is None or lane.head != place:
            return False
        self._start(lane, place)
        self._comes_up()
        return True

    def free(self, thread_id: str) -> None:
        """The run that ran on the thread does so no more."""
        self._change(thread_id, running=None)

    def hold(self, thread_id: str) -> bool:
        """Let nothing start on the thread; False if that is so already, or something runs or waits."""
        lane = self._lanes.setdefault(thread_id, Lane())
        if not lane.empty:
            return False
        lane.held = True
        return True

    def unhold(self, thread_id: str) -> None:
        """End a hold."""
        self._change(thread_id, held=False)

    def next_due(self) -> datetime | None:
        """When the first run becomes due that was not at the last ``take``."""
        return self._delayed[0][0] if self._delayed else None

    def _wake(self, now: datetime) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            _, place, thread_id = heappop(self._delayed)
            self._join(place, thread_id)

    def _comes_up(self) -> bool:
        """Whether any run may start. It is the first of ``_ready`` then: what heads no lane any more is dropped."""
        while self._ready:
            place, thread_id = self._ready[0]
            lane = self._lanes.get(thread_id)
            if lane is not None and lane.head == place:
                return True
            heappop(self._ready)
        return False

    def _join(self, place: Place, thread_id: str) -> None:
        lane = self._lanes.setdefault(thread_id, Lane())
        insort(lane.waiting, place)
        self._offer(thread_id, lane)

    def _start(self, lane: Lane, place: Place) -> None:
        lane.waiting.remove(place)
        lane.running = place[1]

    def _change(self, thread_id: str, **changes: object) -> None:
        lane = self._lanes.get(thread_id)
        if lane is not None:
            for name, value in changes.items():
                setattr(lane, name, value)
            self._offer(thread_id, lane)

    def _offer(self, thread_id: str, lane: Lane) -> None:
        if lane.head is not None:
            heappush(self._ready, (lane.head, thread_id))
            self._tidy()
        elif lane.empty:
            del self._lanes[thread_id]

    def _tidy(self) -> None:
        """Forget what was overtaken, should nobody ``take`` for long."""
        if len(self._ready) > 2 * len(self._lanes) + MOST_OVERTAKEN:
            self._ready = [(lane.head, thread_id) for thread_id, lane in self._lanes.items() if lane.head is not None]
            heapify(self._ready)
