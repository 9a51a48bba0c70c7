"""A graph that always fails in its second node, after the first one has succeeded and left its mark."""

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph_demo.state import FailingState, TextInput


def build() -> CompiledStateGraph[FailingState, None, TextInput, FailingState]:
    graph = StateGraph(FailingState, input_schema=TextInput)
    graph.add_node("prepare", prepare)
    graph.add_node("fail", fail)
    graph.add_edge(START, "prepare")
    graph.add_edge("prepare", "fail")
    return graph.compile(name="failing")


async def prepare(state: FailingState) -> dict[str, str]:
    return {"prepared": state["text"].strip()}


async def fail(state: FailingState) -> dict[str, str]:
    raise ValueError(f"Cannot process {state['prepared']!r}: this graph always fails")
