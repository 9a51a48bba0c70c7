"""The simplest graph: it tidies a text and gives it back."""

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph_demo.state import PlainState, TextInput


def build() -> CompiledStateGraph[PlainState, None, TextInput, PlainState]:
    graph = StateGraph(PlainState, input_schema=TextInput)
    graph.add_node("tidy", tidy)
    graph.add_node("answer", answer)
    graph.add_edge(START, "tidy")
    graph.add_edge("tidy", "answer")
    graph.add_edge("answer", END)
    return graph.compile(name="plain")


async def tidy(state: PlainState) -> dict[str, str]:
    return {"text": " ".join(state["text"].split())}


async def answer(state: PlainState) -> dict[str, str]:
    return {"output": f"You wrote: {state['text']}"}
