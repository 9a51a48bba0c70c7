from langchain_core.runnables import RunnableConfig

from graph_demo import research
from graph_demo.model import OfflineChatModel
from graph_demo.state import ResearchInput
from tests.graph_demo.conftest import Bind

TOPIC = ResearchInput(topic="threads and the store")


async def test_the_report_answers_from_the_notes(model: OfflineChatModel) -> None:
    result = await research.build(model).ainvoke(TOPIC)
    assert result["questions"] == ["What is known about thread?", "What is known about store?"]
    assert result["findings"] == [research.NOTES["thread"], research.NOTES["store"]]
    assert result["report"].startswith("# threads and the store\n")
    assert result["report"].endswith(" ".join(result["findings"]))


async def test_an_unknown_topic_is_reported_as_unknown(model: OfflineChatModel) -> None:
    result = await research.build(model).ainvoke({"topic": "cheese"})
    assert result["findings"] == []
    assert "The notes say nothing about cheese." in result["report"]


async def test_the_steps_of_the_subgraph_stream_in_its_namespace(
    model: OfflineChatModel, bind: Bind, thread: RunnableConfig
) -> None:
    graph = bind(research.build(model))
    steps = [
        (tuple(part.partition(":")[0] for part in namespace), node)
        async for namespace, update in graph.astream(TOPIC, thread, stream_mode="updates", subgraphs=True)
        for node in update
    ]
    assert steps == [
        ((), "plan"),
        (("investigate",), "search"),
        (("investigate",), "summarise"),
        ((), "investigate"),
        ((), "write_report"),
    ]


async def test_the_subgraph_streams_its_tokens(model: OfflineChatModel) -> None:
    parts = research.build(model).astream(TOPIC, stream_mode="messages", subgraphs=True, version="v2")
    tokens = [(part["ns"], *part["data"]) async for part in parts if part["type"] == "messages"]
    assert "".join(chunk.text for _, chunk, _ in tokens).startswith("A thread is one conversation")
    assert {metadata["langgraph_node"] for *_, metadata in tokens} == {"summarise"}
    assert all(namespace[0].startswith("investigate:") for namespace, *_ in tokens)
