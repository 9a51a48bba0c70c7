"""A graph with a subgraph: the parent plans, the subgraph searches and summarises, the parent reports."""

import re

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph_demo.replies import tell
from graph_demo.state import ResearchInput, ResearchState

NOTES = {
    "thread": "A thread is one conversation: it keeps its state between runs.",
    "run": "A run is one execution of a graph, with or without a thread.",
    "checkpoint": "A checkpoint is the saved state of a thread after a step, from which it can go on.",
    "store": "The store keeps facts that outlive a thread, such as what is known about a user.",
    "assistant": "An assistant is a graph together with its configuration.",
    "stream": "A stream delivers the events of a run while the run is still going on.",
    "interrupt": "An interrupt pauses a run until a person answers, and a resume command goes on from there.",
    "subgraph": "A subgraph is a compiled graph used as one node of another graph.",
}


def build(model: BaseChatModel) -> CompiledStateGraph[ResearchState, None, ResearchInput, ResearchState]:
    graph = StateGraph(ResearchState, input_schema=ResearchInput)
    graph.add_node("plan", plan)
    graph.add_node("investigate", build_investigation(model))
    graph.add_node("write_report", write_report)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "investigate")
    graph.add_edge("investigate", "write_report")
    graph.add_edge("write_report", END)
    return graph.compile(name="research")


def build_investigation(
    model: BaseChatModel,
) -> CompiledStateGraph[ResearchState, None, ResearchState, ResearchState]:
    async def summarise(state: ResearchState) -> dict[str, str]:
        facts = " ".join(state["findings"]) or f"The notes say nothing about {state['topic']}."
        answer = await model.ainvoke([tell(facts), HumanMessage(" ".join(state["questions"]))])
        return {"summary": str(answer.text)}

    graph = StateGraph(ResearchState)
    graph.add_node("search", search)
    graph.add_node("summarise", summarise)
    graph.add_edge(START, "search")
    graph.add_edge("search", "summarise")
    graph.add_edge("summarise", END)
    return graph.compile(name="investigate")


async def plan(state: ResearchState) -> dict[str, list[str]]:
    topic = state["topic"].strip()
    subjects = [word for word in words(topic) if word in NOTES] or [topic]
    return {"questions": [f"What is known about {subject}?" for subject in subjects]}


async def search(state: ResearchState) -> dict[str, list[str]]:
    wanted = dict.fromkeys(word for question in state["questions"] for word in words(question))
    return {"findings": [NOTES[word] for word in wanted if word in NOTES]}


async def write_report(state: ResearchState) -> dict[str, str]:
    asked = "\n".join(f"- {question}" for question in state["questions"])
    return {"report": f"# {state['topic'].strip()}\n\n{asked}\n\n{state['summary']}"}


def words(text: str) -> list[str]:
    """The words of a text in the singular, as the notes name their subjects."""
    return [word.removesuffix("s") for word in re.findall(r"[a-z]+", text.lower())]
