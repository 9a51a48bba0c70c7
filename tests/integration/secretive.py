"""A graph that says, keeps, asks and fails with whatever it is given, so that it goes everywhere."""

from typing import Any, TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt


class State(TypedDict, total=False):
    text: str
    nested: dict[str, Any]
    answer: str


class Context(TypedDict, total=False):
    key: str


async def tell(state: State, runtime: Runtime[Context]) -> State:
    """Says the text, and keeps it in the store."""
    text = state["text"]
    get_stream_writer()({"said": text})
    assert runtime.store is not None
    await runtime.store.aput(("notes",), "one", {"text": text})
    return {"nested": {"list": [text]}}


async def ask(state: State) -> State:
    return {"answer": interrupt({"question": state["text"]})}


async def fail(state: State) -> State:
    if state["answer"].startswith("fail"):
        raise ValueError(f"This went wrong: {state['text']}")
    return {}


def secretive() -> StateGraph[State, Context]:
    """Tell, ask, and fail if the answer says so."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("tell", tell)
    graph.add_node("ask", ask)
    graph.add_node("fail", fail)
    graph.add_edge(START, "tell")
    graph.add_edge("tell", "ask")
    graph.add_edge("ask", "fail")
    graph.add_edge("fail", END)
    return graph
