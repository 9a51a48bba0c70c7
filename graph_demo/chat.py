"""A chat: one node answers the whole conversation with the chat model, token by token."""

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, SystemMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph_demo.state import ChatState

PROMPT = SystemMessage("You are a friendly assistant. Answer in a few short sentences.")


def build(model: BaseChatModel) -> CompiledStateGraph[ChatState, None, ChatState, ChatState]:
    async def respond(state: ChatState) -> dict[str, list[AnyMessage]]:
        return {"messages": [await model.ainvoke([PROMPT, *state["messages"]])]}

    graph = StateGraph(ChatState)
    graph.add_node("respond", respond)
    graph.add_edge(START, "respond")
    graph.add_edge("respond", END)
    return graph.compile(name="chat")
