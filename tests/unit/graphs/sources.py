"""Small graphs for tests of what becomes of them."""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict


class Text(TypedDict):
    text: str


async def shout(state: Text) -> Text:
    return {"text": state["text"].upper()}


def builder(state: type[Any] = Text, context: type[Any] | None = None) -> StateGraph[Any, Any, Any, Any]:
    """A graph of one node, not compiled."""
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(state, context_schema=context)
    graph.add_node("shout", shout)
    graph.add_edge(START, "shout")
    graph.add_edge("shout", END)
    return graph


def compiled(
    state: type[Any] = Text, context: type[Any] | None = None, name: str | None = None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A graph of one node."""
    return builder(state, context).compile(name=name)
