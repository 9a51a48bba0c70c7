"""The schedule against the plainest thing that could be right: a list that is searched every time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fast_graph.backends.memory.schedule import Schedule
from fast_graph.model.records import Run

START = datetime(2025, 1, 1, tzinfo=UTC)
THREADS = st.sampled_from(["a", "b", "c"])


@dataclass
class Naive:
    """Every rule, read from the docstring of the port."""

    waiting: list[Run] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def due(self, now: datetime, thread_id: str | None = None) -> list[Run]:
        """Those that are due, oldest first."""
        found = [run for run in self.waiting if run.due_at is None or run.due_at <= now]
        return sorted(
            (run for run in found if thread_id in (None, run.thread_id)), key=lambda run: (run.created_at, run.run_id)
        )

    def startable(self, now: datetime) -> list[Run]:
        """The oldest due run of each thread on which nothing runs and which is not held."""
        heads: dict[str, Run] = {}
        for run in self.due(now):
            heads.setdefault(run.thread_id, run)
        return [run for thread_id, run in heads.items() if thread_id not in self.running.keys() | self.held]

    def start(self, run: Run) -> None:
        self.waiting.remove(run)
        self.running[run.thread_id] = run.run_id


class ScheduleAgainstNaive(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.naive = Naive()
        self.now = START
        self.made = 0

    def run_of(self, index: int) -> Run | None:
        waiting = self.naive.waiting
        return waiting[index % len(waiting)] if waiting else None

    @rule(thread_id=THREADS, delay=st.sampled_from([None, 0, 1, 5]), age=st.integers(0, 3))
    def add(self, thread_id: str, delay: int | None, age: int) -> None:
        self.made += 1
        run = Run(
            run_id=f"run-{self.made:04}",
            thread_id=thread_id,
            assistant_id="assistant",
            created_at=self.now - timedelta(seconds=age),
            updated_at=self.now,
            kwargs=b"{}",
            due_at=None if delay is None else self.now + timedelta(seconds=delay),
        )
        self.schedule.add(run)
        self.naive.waiting.append(run)

    @rule(seconds=st.integers(0, 4))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(index=st.integers(0, 9))
    def remove(self, index: int) -> None:
        if run := self.run_of(index):
            self.schedule.remove(run)
            self.naive.waiting.remove(run)

    @rule(limit=st.integers(0, 4))
    def take(self, limit: int) -> None:
        expected = self.naive.startable(self.now)[:limit]
        assert list(self.schedule.take(self.now, limit)) == [run.run_id for run in expected]
        for run in expected:
            self.naive.start(run)

    @rule(index=st.integers(0, 9))
    def take_one(self, index: int) -> None:
        if run := self.run_of(index):
            expected = run in self.naive.startable(self.now)
            assert self.schedule.take_one(run, self.now) == expected
            if expected:
                self.naive.start(run)

    @rule(thread_id=THREADS)
    def free(self, thread_id: str) -> None:
        if self.naive.running.pop(thread_id, None):
            self.schedule.free(thread_id)

    @rule(thread_id=THREADS)
    def free_and_queue_again(self, thread_id: str) -> None:
        run_id = self.naive.running.pop(thread_id, None)
        if run_id is not None:
            self.schedule.free(thread_id)
            again = Run(
                run_id=run_id, thread_id=thread_id, assistant_id="", created_at=START, updated_at=START, kwargs=b"{}"
            )
            self.schedule.add(again)
            self.naive.waiting.append(again)

    @rule(thread_id=THREADS)
    def hold(self, thread_id: str) -> None:
        self.schedule.take(self.now, 0)  # what is due by now waits
        busy = thread_id in self.naive.running.keys() | self.naive.held or self.naive.due(self.now, thread_id)
        assert self.schedule.hold(thread_id) == (not busy)
        if not busy:
            self.naive.held.add(thread_id)

    @rule(thread_id=THREADS)
    def unhold(self, thread_id: str) -> None:
        if thread_id in self.naive.held:
            self.schedule.unhold(thread_id)
            self.naive.held.remove(thread_id)

    @invariant()
    def the_next_due_run_is_known(self) -> None:
        self.schedule.take(self.now, 0)
        later = [run.due_at for run in self.naive.waiting if run.due_at is not None and run.due_at > self.now]
        assert self.schedule.next_due() == min(later, default=None)

    def teardown(self) -> None:
        for thread_id in list(self.naive.held):
            self.unhold(thread_id)
        self.now += timedelta(seconds=100)
        started: Sequence[str] = [""]
        while started:
            for thread_id in list(self.naive.running):
                self.free(thread_id)
            started = self.schedule.take(self.now, 100)
            for run in [run for run in self.naive.waiting if run.run_id in started]:
                self.naive.start(run)
        assert self.naive.waiting == []
        assert self.schedule.__dict__ == Schedule().__dict__


ScheduleAgainstNaive.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSchedule = ScheduleAgainstNaive.TestCase


def test_what_nobody_takes_does_not_pile_up() -> None:
    schedule = Schedule()
    first = Run(run_id="0", thread_id="t", assistant_id="", created_at=START, updated_at=START, kwargs=b"{}")
    schedule.add(first)
    for number in range(1, 10_000):
        schedule.add(replace(first, run_id=str(number), created_at=START + timedelta(seconds=number)))
    assert len(schedule._ready) < 2_000  # noqa: SLF001 - the bound is the promise
    assert schedule.take(START, 9) == ["0"]
