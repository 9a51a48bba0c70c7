"""A ToDo assistant that remembers across threads: the store keeps one list per user and category."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, SystemMessage
from langgraph.config import get_config
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore

from graph_demo.replies import tell
from graph_demo.requests import Reader
from graph_demo.state import ChatState, Configuration, Request, TaskMaistroState
from graph_demo.todo import MOST_TODOS, Change, Now, Todo, Todos, by_urgency, decide, describe

DEFAULTS = Configuration(user_id="default-user", todo_category="general")

Namespace = tuple[str, str, str]


def fresh() -> Now:
    return Now(key=str(uuid4()), time=datetime.now(UTC))


def build(
    model: BaseChatModel, *, read: Reader, now: Callable[[], Now] = fresh
) -> CompiledStateGraph[TaskMaistroState, Configuration, ChatState, TaskMaistroState]:
    nodes = TaskMaistro(model=model, read=read, now=now)
    graph = StateGraph(TaskMaistroState, context_schema=Configuration, input_schema=ChatState)
    graph.add_node("understand", nodes.understand)
    graph.add_node("update_todos", nodes.update_todos)
    graph.add_node("respond", nodes.respond)
    graph.add_edge(START, "understand")
    graph.add_conditional_edges("understand", route)
    graph.add_edge("update_todos", "respond")
    graph.add_edge("respond", END)
    return graph.compile(name="task_maistro")


def route(state: TaskMaistroState) -> Literal["respond", "update_todos"]:
    return "respond" if state["request"]["action"] == "talk" else "update_todos"


@dataclass(frozen=True, kw_only=True)
class TaskMaistro:
    model: BaseChatModel
    read: Reader
    now: Callable[[], Now]

    async def understand(self, state: TaskMaistroState) -> dict[str, Request | None]:
        # The outcome of the last turn is still in the thread, and must not answer this one.
        return {"request": await self.read(state["messages"]), "outcome": None}

    async def update_todos(self, state: TaskMaistroState, runtime: Runtime[Configuration]) -> dict[str, str]:
        store, namespace = store_of(runtime), namespace_of(runtime)
        change = decide(state["request"], await load(store, namespace), self.now())
        await apply(change, store, namespace)
        return {"outcome": change.outcome}

    async def respond(self, state: TaskMaistroState, runtime: Runtime[Configuration]) -> dict[str, list[AnyMessage]]:
        if outcome := state.get("outcome"):
            prompt = tell(outcome)
        else:
            prompt = introduction(await load(store_of(runtime), namespace_of(runtime)))
        return {"messages": [await self.model.ainvoke([prompt, *state["messages"]])]}


def introduction(todos: Todos) -> SystemMessage:
    lines = "\n".join(f"- {describe(todo)}" for todo in by_urgency(todos)) or "(none)"
    return SystemMessage(f"You keep the user's ToDo list and help them with it. Their ToDos are:\n{lines}")


def store_of(runtime: Runtime[Configuration]) -> BaseStore:
    if runtime.store is None:
        raise RuntimeError("task_maistro keeps its ToDos in a store: run it with one")
    return runtime.store


def namespace_of(runtime: Runtime[Configuration]) -> Namespace:
    """Whose list it is: the context says so, else the configurable, else the defaults."""
    given: dict[str, Any] = {**get_config().get("configurable", {}), **(runtime.context or {})}
    category = given.get("todo_category") or DEFAULTS["todo_category"]
    user_id = given.get("user_id") or DEFAULTS["user_id"]
    return "todo", label(category), label(user_id)


def label(name: object) -> str:
    # Stores refuse a period in a namespace, and user ids are often e-mail addresses.
    return str(name).replace("%", "%25").replace(".", "%2E")


async def load(store: BaseStore, namespace: Namespace) -> Todos:
    items = await store.asearch(namespace, limit=MOST_TODOS)
    return {item.key: cast(Todo, item.value) for item in items}


async def apply(change: Change, store: BaseStore, namespace: Namespace) -> None:
    if change.save:
        key, todo = change.save
        await store.aput(namespace, key, dict(todo))
    if change.delete:
        await store.adelete(namespace, change.delete)
