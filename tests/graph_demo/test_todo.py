from datetime import UTC, datetime

from graph_demo.requests import parse
from graph_demo.todo import MOST_TODOS, Change, Now, Todo, decide

NOW = Now(key="new", time=datetime(2025, 1, 1, 12, tzinfo=UTC))


def todo(task: str, deadline: str | None = None, *, day: int = 1) -> Todo:
    return Todo(task=task, deadline=deadline, status="not started", created_at=f"2025-01-{day:02}T12:00:00+00:00")


def done(task: str) -> Todo:
    return {**todo(task), "status": "done"}


def ask(text: str, **todos: Todo) -> Change:
    return decide(parse(text), todos, NOW)


def test_a_new_todo_is_saved_under_its_key() -> None:
    change = ask("add buy milk by Friday")
    assert change == Change(outcome="Added: buy milk (deadline: Friday).", save=("new", todo("buy milk", "Friday")))


def test_a_full_list_takes_no_more() -> None:
    change = ask("add one more", **{f"k{number}": todo("x") for number in range(MOST_TODOS)})
    assert change.save is None
    assert "full" in change.outcome


def test_an_addition_without_a_task_is_asked_for() -> None:
    assert decide({"action": "add", "task": None, "deadline": None}, {}, NOW).outcome == "What should I add?"


def test_an_empty_list_says_so() -> None:
    assert ask("list my todos").outcome == "Your ToDo list is empty."
    assert ask("what first?").outcome == "Nothing is left to do."


def test_the_list_is_ordered_by_urgency() -> None:
    change = ask(
        "list my todos",
        a=done("shave"),
        b=todo("read"),
        c=todo("plan", "the end of May"),
        d=todo("pay", "Friday"),
        e=todo("fly", "tomorrow"),
    )
    assert change.outcome.splitlines() == [
        "Your ToDos:",
        "- fly (deadline: tomorrow)",
        "- pay (deadline: Friday)",
        "- plan (deadline: the end of May)",
        "- read",
        "- [done] shave",
    ]


def test_deadlines_keep_their_day_when_time_goes_on() -> None:
    change = ask("what first?", a=todo("later", "tomorrow", day=9), b=todo("sooner", "next week", day=1))
    assert change.outcome == "Start with: sooner (deadline: next week)."


def test_of_equal_todos_the_oldest_is_first() -> None:
    assert ask("what first?", a=todo("new", day=2), b=todo("old")).outcome == "Start with: old."


def test_done_todos_are_never_first() -> None:
    assert ask("what first?", a=done("milk")).outcome == "Nothing is left to do."


def test_a_todo_is_marked_done_by_some_of_its_words() -> None:
    change = ask("done milk", a=todo("buy milk"), b=todo("buy bread"))
    assert change == Change(outcome="Done: buy milk.", save=("a", done("buy milk")))


def test_an_exact_task_wins_over_a_longer_one() -> None:
    assert ask("delete buy milk", a=todo("buy milk and bread"), b=todo("buy milk")).delete == "b"


def test_an_unknown_todo_changes_nothing() -> None:
    assert ask("done tea", a=todo("milk")) == Change(outcome="No open ToDo matches 'tea'.")
    assert ask("delete tea", a=todo("milk")) == Change(outcome="No ToDo matches 'tea'.")
