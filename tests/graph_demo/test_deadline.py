from datetime import date

import pytest

from graph_demo.deadline import due_on, split_deadline

WEDNESDAY = date(2025, 1, 1)


@pytest.mark.parametrize(
    ("text", "task", "deadline"),
    [
        ("buy milk by Friday", "buy milk", "Friday"),
        ("book a flight tomorrow", "book a flight", "tomorrow"),
        ("pay rent on 2025-02-01", "pay rent", "2025-02-01"),
        ("send the report before the end of May", "send the report", "the end of May"),
        ("visit Ann next Monday", "visit Ann", "next Monday"),
        ("call Ann in 3 days", "call Ann", "in 3 days"),
        ("stand by me", "stand", "me"),
        ("buy bread", "buy bread", None),
    ],
)
def test_a_deadline_is_found_at_the_end(text: str, task: str, deadline: str | None) -> None:
    assert split_deadline(text) == (task, deadline)


@pytest.mark.parametrize(
    ("deadline", "due"),
    [
        ("today", date(2025, 1, 1)),
        ("Tomorrow", date(2025, 1, 2)),
        ("Friday", date(2025, 1, 3)),
        ("wednesday", date(2025, 1, 1)),
        ("next Friday", date(2025, 1, 10)),
        ("this Tuesday", date(2025, 1, 7)),
        ("next week", date(2025, 1, 8)),
        ("in 10 days", date(2025, 1, 11)),
        ("2025-02-01", date(2025, 2, 1)),
        ("2025-02-31", None),
        ("the end of May", None),
    ],
)
def test_deadlines_are_dated_from_the_day_they_were_said(deadline: str, due: date | None) -> None:
    assert due_on(deadline, said_on=WEDNESDAY) == due
