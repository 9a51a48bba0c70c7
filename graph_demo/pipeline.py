"""A data pipeline in three steps that reports its progress; it computes the word statistics of a text."""

import asyncio
import re
from collections import Counter

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph_demo.state import PipelineInput, PipelineState, Statistics, WordCount

LONGEST_DELAY = 600.0
SHOWN_WORDS = 3


def build() -> CompiledStateGraph[PipelineState, None, PipelineInput, PipelineState]:
    graph = StateGraph(PipelineState, input_schema=PipelineInput)
    graph.add_node("prepare", prepare)
    graph.add_node("process", process)
    graph.add_node("generate", generate)
    graph.add_edge(START, "prepare")
    graph.add_edge("prepare", "process")
    graph.add_edge("process", "generate")
    graph.add_edge("generate", END)
    return graph.compile(name="pipeline")


async def prepare(state: PipelineState) -> dict[str, list[str]]:
    announce("prepare", 10, "Splitting the text into words")
    await wait(state)
    return {"words": re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", state["text"].lower())}


async def process(state: PipelineState) -> dict[str, Statistics]:
    announce("process", 40, f"Counting {len(state['words'])} words")
    await wait(state)
    return {"statistics": count(state["words"])}


async def generate(state: PipelineState) -> dict[str, str]:
    announce("generate", 70, "Writing the report")
    await wait(state)
    report = describe(state["statistics"])
    announce("generate", 100, "The report is ready")
    return {"report": report}


def announce(step: str, progress: int, message: str) -> None:
    get_stream_writer()({"step": step, "progress": progress, "message": message})


async def wait(state: PipelineState) -> None:
    await asyncio.sleep(min(state.get("delay", 0.0), LONGEST_DELAY))


def count(words: list[str]) -> Statistics:
    # Equally frequent words are ordered by the alphabet, so the same text gives the same report.
    ranking = sorted(Counter(words).items(), key=lambda entry: (-entry[1], entry[0]))
    return Statistics(
        words=len(words),
        distinct_words=len(ranking),
        average_length=round(sum(map(len, words)) / len(words), 2) if words else 0.0,
        most_common=[WordCount(word=word, times=times) for word, times in ranking[:SHOWN_WORDS]],
    )


def describe(statistics: Statistics) -> str:
    if not statistics["words"]:
        return "The text has no words."
    common = ", ".join(f"{entry['word']} ({entry['times']})" for entry in statistics["most_common"])
    return (
        f"{statistics['words']} words, {statistics['distinct_words']} distinct, "
        f"{statistics['average_length']} letters on average. Most common: {common}."
    )
