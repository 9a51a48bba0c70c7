from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.protocol.contract.graphs import HitlState, StepsState
from tests.protocol.requirements import covers
from tests.protocol.talking import HELLO

THREADS = ["user_123_session", "org/team/7", "100% & more?"]


class Graphs:
    """Remote graphs of the server, by name."""

    def __init__(self, client: LangGraphClient, sync_client: SyncLangGraphClient) -> None:
        self._clients: dict[str, Any] = {"client": client, "sync_client": sync_client}

    def __getitem__(self, name: str) -> RemoteGraph:
        return RemoteGraph(name, name=name, **self._clients)


@pytest.fixture
def graphs(remote: LangGraphClient, sync_remote: SyncLangGraphClient) -> Graphs:
    return Graphs(remote, sync_remote)


async def on_thread(client: LangGraphClient, **options: Any) -> RunnableConfig:
    """The config of a new thread."""
    return {"configurable": {"thread_id": (await client.threads.create(**options))["thread_id"]}}


@covers("remote.graph")
async def test_the_graph_is_drawn(graphs: Graphs) -> None:
    drawn = await graphs["steps"].aget_graph()
    assert list(drawn.nodes) == ["__start__", "a", "b", "c", "__end__"]
    assert "child:inner" in (await graphs["parent"].aget_graph(xray=True)).nodes
    assert "graph TD" in graphs["steps"].get_graph().draw_mermaid()


@covers("remote.invoke")
async def test_invoke_gives_the_final_values(graphs: Graphs, remote: LangGraphClient) -> None:
    assert await graphs["echo"].ainvoke({"content": "x"}) == {"content": "echo: x"}
    assert graphs["echo"].invoke({"content": "x"}) == {"content": "echo: x"}
    config = await on_thread(remote)
    assert await graphs["echo"].ainvoke({"content": "x"}, config) == {"content": "echo: x"}


@covers("remote.stream")
async def test_stream_gives_the_chunks_of_every_mode(graphs: Graphs) -> None:
    modes: Any = ["values", "updates"]
    parts: Any = [part async for part in graphs["steps"].astream({"log": []}, stream_mode=modes)]
    chunks = [(part[0], part[1]) for part in parts]
    assert [mode for mode, _ in chunks] == ["values", *["updates", "values"] * 3]
    assert [data for mode, data in chunks if mode == "updates"] == [{node: {"log": [node]}} for node in "abc"]
    parts = graphs["steps"].stream({"log": []}, stream_mode=modes)
    assert [(part[0], part[1]) for part in parts] == chunks


@covers("remote.stream")
@pytest.mark.parametrize("mode", ["custom", "tasks", "checkpoints", "debug", "values", "updates"])
async def test_one_mode_comes_without_its_name(graphs: Graphs, mode: Any) -> None:
    chunks = [chunk async for chunk in graphs["custom"].astream({"content": "x"}, stream_mode=mode)]
    assert chunks
    if mode == "custom":
        assert chunks == [{"progress": 1}, "plain text"]


@covers("remote.stream")
async def test_tokens_come_as_messages(graphs: Graphs) -> None:
    chunks: Any = [chunk async for chunk in graphs["chat"].astream(HELLO, stream_mode="messages")]
    assert "".join(message["content"] for message, _ in chunks) == "Hello from the fake model"
    assert {metadata["langgraph_node"] for _, metadata in chunks} == {"model"}


@covers("remote.subgraphs")
async def test_subgraphs_have_namespaces(graphs: Graphs) -> None:
    chunks: list[Any] = [
        chunk async for chunk in graphs["parent"].astream({"log": []}, stream_mode="updates", subgraphs=True)
    ]
    assert [(len(namespace), list(data)) for namespace, data in chunks] == [
        (0, ["before"]),
        (1, ["inner"]),
        (0, ["child"]),
    ]


@covers("remote.turns", "remote.thread_ids")
@pytest.mark.parametrize("thread", THREADS)
async def test_turns_on_a_thread_build_on_each_other(graphs: Graphs, thread: str) -> None:
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    await graphs["steps"].ainvoke({"log": ["1"]}, config)
    values = graphs["steps"].invoke({"log": ["2"]}, config)
    assert values == {"log": ["1", "a", "b", "c", "2", "a", "b", "c"]}
    assert (await graphs["steps"].aget_state(config)).values == values


@covers("remote.interrupt")
async def test_a_run_asks_and_a_command_answers(graphs: Graphs, remote: LangGraphClient) -> None:
    config, graph = await on_thread(remote), graphs["hitl"]
    asked = await graph.ainvoke({"question": "q"}, config)
    assert asked["__interrupt__"][0]["value"] == {"question": "q"}
    state = await graph.aget_state(config)
    assert (state.next, state.interrupts[0].value) == (("ask",), {"question": "q"})
    assert await graph.ainvoke(Command(resume="yes"), config) == {"question": "q", "answer": "got yes"}
    assert (await graph.aget_state(config)).next == ()


@covers("remote.interrupt")
def test_a_run_asks_and_a_command_answers_without_async(graphs: Graphs, sync_remote: SyncLangGraphClient) -> None:
    config: RunnableConfig = {"configurable": {"thread_id": sync_remote.threads.create()["thread_id"]}}
    assert graphs["hitl"].invoke({"question": "q"}, config)["__interrupt__"]
    assert graphs["hitl"].get_state(config).next == ("ask",)
    assert graphs["hitl"].invoke(Command(resume="yes"), config)["answer"] == "got yes"


@covers("remote.update_state")
async def test_an_edited_state_is_gone_on_with(graphs: Graphs, remote: LangGraphClient) -> None:
    config, graph = await on_thread(remote), graphs["gate"]
    assert await graph.ainvoke({"log": []}, config) == {"log": ["a"]}
    edited = await graph.aupdate_state(config, {"log": ["edited"]}, as_node="a")
    assert edited["configurable"]["checkpoint_id"]
    assert await graph.ainvoke(None, config) == {"log": ["a", "edited", "b", "c"]}
    graph.update_state(config, {"log": ["again"]}, as_node="c")
    assert graph.get_state(config).values["log"][-1] == "again"


@covers("remote.history")
async def test_history_shows_where_the_thread_was(graphs: Graphs, remote: LangGraphClient) -> None:
    config, graph = await on_thread(remote), graphs["steps"]
    await graph.ainvoke({"log": []}, config)
    history = [state async for state in graph.aget_state_history(config)]
    assert [state.next for state in history] == [(), ("c",), ("b",), ("a",), ("__start__",)]
    assert list(graph.get_state_history(config)) == history
    assert [state async for state in graph.aget_state_history(config, limit=2)] == history[:2]
    assert [state async for state in graph.aget_state_history(config, before=history[2].config)] == history[3:]
    assert [state async for state in graph.aget_state_history(config, filter={"step": 1})] == history[2:3]
    assert await graph.aget_state(history[2].config) == history[2]


@covers("remote.travel")
async def test_a_run_branches_off_at_an_earlier_checkpoint(graphs: Graphs, remote: LangGraphClient) -> None:
    config, graph = await on_thread(remote), graphs["steps"]
    await graph.ainvoke({"log": ["x"]}, config)
    at_b = next(state for state in graph.get_state_history(config) if state.next == ("b",))
    forked = await graph.aupdate_state(at_b.config, {"log": ["fork"]}, as_node="a")
    await remote.runs.wait(
        config["configurable"]["thread_id"], "steps", input=None, checkpoint_id=forked["configurable"]["checkpoint_id"]
    )
    assert (await graph.aget_state(config)).values == {"log": ["x", "a", "fork", "b", "c"]}


@covers("remote.node")
async def test_a_remote_graph_is_a_node(graphs: Graphs) -> None:
    graph = StateGraph(StepsState)
    graph.add_node("local", lambda _: {"log": ["local"]})
    graph.add_node("remote", cast("Any", graphs["steps"]))
    graph.add_edge(START, "local")
    graph.add_edge("local", "remote")
    graph.add_edge("remote", END)
    compiled = graph.compile()
    assert (await compiled.ainvoke({"log": []}))["log"] == ["local", "local", "a", "b", "c"]
    assert compiled.invoke({"log": []})["log"] == ["local", "local", "a", "b", "c"]
    chunks: Any = [chunk async for chunk in compiled.astream({"log": []}, stream_mode="updates", subgraphs=True)]
    assert [next(iter(data)) for namespace, data in chunks if namespace] == ["a", "b", "c"]


@covers("remote.node", "remote.interrupt")
async def test_the_question_of_a_remote_node_reaches_the_outside(graphs: Graphs) -> None:
    graph = StateGraph(HitlState)
    graph.add_node("remote", cast("Any", graphs["hitl"]))
    graph.add_edge(START, "remote")
    graph.add_edge("remote", END)
    compiled = graph.compile(checkpointer=InMemorySaver())
    config: RunnableConfig = {"configurable": {"thread_id": "outer-thread"}}
    asked = await compiled.ainvoke({"question": "q"}, config)
    assert asked["__interrupt__"][0].value == {"question": "q"}


@covers("remote.error")
async def test_a_failed_run_raises_what_happened(graphs: Graphs) -> None:
    with pytest.raises(RemoteException, match="boom: fine"):
        await graphs["failing"].ainvoke({"content": "x"})
    with pytest.raises(RemoteException, match="boom: fine"):
        graphs["failing"].invoke({"content": "x"})


@covers("remote.thread_ids")
@pytest.mark.parametrize("thread", THREADS)
async def test_any_string_is_a_thread_id(graphs: Graphs, remote: LangGraphClient, thread: str) -> None:
    config: RunnableConfig = {"configurable": {"thread_id": f"{thread} of its own"}}
    await graphs["hitl"].ainvoke({"question": "q"}, config)
    assert (await graphs["hitl"].aget_state(config)).next == ("ask",)
    await graphs["hitl"].aupdate_state(config, {"question": "other"})
    assert [state async for state in graphs["hitl"].aget_state_history(config, limit=1)]
    assert (await remote.threads.get(f"{thread} of its own"))["status"] == "interrupted"
