"""The rules of a ToDo list: what a request changes and what to say about it. Nothing here reads or writes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypedDict

from graph_demo.deadline import due_on
from graph_demo.state import Request

MOST_TODOS = 100


class Todo(TypedDict):
    task: str
    deadline: str | None
    status: Literal["not started", "done"]
    created_at: str


Todos = Mapping[str, Todo]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What to say, and at most one ToDo to save under its key or one key to delete."""

    outcome: str
    save: tuple[str, Todo] | None = None
    delete: str | None = None


@dataclass(frozen=True, kw_only=True)
class Now:
    """What a new ToDo is given: a fresh key and the time."""

    key: str
    time: datetime


def decide(request: Request, todos: Todos, now: Now) -> Change:
    rule = RULES.get(request["action"])
    return rule(request, todos, now) if rule else Change(outcome="")


def _add(request: Request, todos: Todos, now: Now) -> Change:
    task = request["task"]
    if not task:
        return Change(outcome="What should I add?")
    if len(todos) >= MOST_TODOS:
        return Change(outcome=f"Your list is full with {MOST_TODOS} ToDos: delete one first.")
    todo = Todo(task=task, deadline=request["deadline"], status="not started", created_at=now.time.isoformat())
    return Change(outcome=f"Added: {describe(todo)}.", save=(now.key, todo))


def _list(_: Request, todos: Todos, __: Now) -> Change:
    if not todos:
        return Change(outcome="Your ToDo list is empty.")
    lines = [f"- {describe(todo)}" for todo in by_urgency(todos)]
    return Change(outcome="\n".join(["Your ToDos:", *lines]))


def _first(_: Request, todos: Todos, __: Now) -> Change:
    still_open = [todo for todo in by_urgency(todos) if todo["status"] != "done"]
    if not still_open:
        return Change(outcome="Nothing is left to do.")
    return Change(outcome=f"Start with: {describe(still_open[0])}.")


def _done(request: Request, todos: Todos, _: Now) -> Change:
    key = find({key: todo for key, todo in todos.items() if todo["status"] != "done"}, request["task"])
    if key is None:
        return Change(outcome=f"No open ToDo matches {request['task']!r}.")
    todo: Todo = {**todos[key], "status": "done"}
    return Change(outcome=f"Done: {todo['task']}.", save=(key, todo))


def _delete(request: Request, todos: Todos, _: Now) -> Change:
    key = find(todos, request["task"])
    if key is None:
        return Change(outcome=f"No ToDo matches {request['task']!r}.")
    return Change(outcome=f"Deleted: {todos[key]['task']}.", delete=key)


RULES: dict[str, Callable[[Request, Todos, Now], Change]] = {
    "add": _add,
    "list": _list,
    "first": _first,
    "done": _done,
    "delete": _delete,
}


def find(todos: Todos, words: str | None) -> str | None:
    """The key of the shortest task that has all these words, so an exact match wins."""
    wanted = set((words or "").lower().split())
    matching = [key for key, todo in todos.items() if wanted and wanted <= set(todo["task"].lower().split())]
    return min(matching, key=lambda key: len(todos[key]["task"]), default=None)


def describe(todo: Todo) -> str:
    deadline = f" (deadline: {todo['deadline']})" if todo["deadline"] else ""
    return f"{'[done] ' if todo['status'] == 'done' else ''}{todo['task']}{deadline}"


def by_urgency(todos: Todos) -> list[Todo]:
    return sorted(todos.values(), key=_urgency)


def _urgency(todo: Todo) -> tuple[bool, int, date, str]:
    """Open before done; then known dates in order, deadlines we cannot date, no deadline; then the oldest."""
    said_on = datetime.fromisoformat(todo["created_at"]).date()
    due = due_on(todo["deadline"], said_on=said_on) if todo["deadline"] else None
    vagueness = 0 if due else 1 if todo["deadline"] else 2
    return todo["status"] == "done", vagueness, due or date.max, todo["created_at"]
