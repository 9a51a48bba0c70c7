"""The reckoning sees what it is there to see."""

import pytest

from tests.chaos.crowd import Wanted
from tests.chaos.diary import Line
from tests.chaos.reckoning import overlaps, takeovers, unlike


def line(what: str, run: str, at: float, *, step: int = 0, pid: int = 1, thread: str = "t") -> Line:
    return Line(what, thread, run, run, step, pid, at)


def test_runs_that_follow_each_other_do_not_overlap() -> None:
    assert not overlaps([line("begin", "a", 1), line("end", "a", 2), line("begin", "b", 2), line("stop", "b", 3)], {})


def test_runs_on_different_threads_may_overlap() -> None:
    assert not overlaps([line("begin", "a", 1), line("begin", "b", 2, thread="other")], {})


def test_a_run_that_begins_within_another_overlaps() -> None:
    lines = [line("begin", "a", 1), line("begin", "b", 2, pid=2), line("end", "a", 3), line("end", "b", 4, pid=2)]
    assert overlaps(lines, {}) == ["runs a and b overlap on t for 1.00 s"]


def test_a_killed_process_works_until_its_death() -> None:
    lines = [line("begin", "a", 1), line("begin", "b", 3, pid=2), line("end", "b", 4, pid=2)]
    assert not overlaps(lines, {1: 2.5})
    assert overlaps(lines, {1: 3.5})


def test_attempts_of_one_run_are_not_two_runs() -> None:
    assert not overlaps([line("begin", "a", 1), line("begin", "a", 2, pid=2)], {})


WANTED = {
    "a": Wanted(item="a", kind="queued", thread="t", steps=2),
    "b": Wanted(item="b", kind="cancelled", thread="t", steps=2, cancelled=True),
    "c": Wanted(item="c", kind="asked", thread="t", steps=3),
    "ca0": Wanted(item="ca0", kind="asked", thread="t", steps=0),
}


@pytest.mark.parametrize(
    ("items", "runs"),
    [
        (["a.0", "a.1", "b.0", "b.1"], [("a", "success"), ("b", "success")]),
        (["a.0", "a.1", "b.0"], [("a", "success"), ("b", "interrupted")]),
        (["a.0", "a.1"], [("b", "interrupted"), ("a", "success")]),
        (["c.0", "c answered"], [("c", "success"), ("ca0", "success")]),
        ([], []),
    ],
)
def test_a_thread_is_what_its_runs_made_of_it_in_order(items: list[str], runs: list[tuple[str, str]]) -> None:
    assert not unlike(items, runs, WANTED)


@pytest.mark.parametrize(
    ("items", "runs"),
    [
        (["a.0"], [("a", "success")]),
        (["a.0", "a.1"], [("a", "error")]),
        (["a.0", "a.1", "a.0", "a.1"], [("a", "success")]),
        (["a.0", "a.0", "a.1"], [("a", "success")]),
        (["b.0", "b.1", "a.0", "a.1"], [("a", "success"), ("b", "success")]),
        (["a.0", "b.0", "a.1", "b.1"], [("a", "success"), ("b", "success")]),
        (["a.0", "a.1", "b.0"], [("a", "success"), ("b", "success")]),
        (["c.0"], [("c", "success"), ("ca0", "success")]),
    ],
)
def test_anything_else_is_noticed(items: list[str], runs: list[tuple[str, str]]) -> None:
    assert unlike(items, runs, WANTED)


def test_a_takeover_lasts_from_the_death_of_a_process_until_another_begins() -> None:
    lines = [line("begin", "a", 1), line("begin", "b", 1), line("end", "b", 2), line("begin", "a", 9, pid=2)]
    assert takeovers(lines, {1: 3}) == [6]
