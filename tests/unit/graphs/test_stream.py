"""Each stream mode as clients know it, from small graphs."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypedDict

import orjson
import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.errors import GraphDrained
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import RunControl
from langgraph.types import interrupt

from fast_graph.graphs.registry import Graph
from fast_graph.graphs.stream import GraphStream
from fast_graph.model.records import Event

CONFIG: RunnableConfig = {"configurable": {"thread_id": "thread"}}


class State(TypedDict, total=False):
    x: int
    messages: Annotated[list[AnyMessage], add_messages]


async def one(state: State) -> State:
    return {"x": state["x"] + 1}


async def two(state: State) -> State:
    return {"x": state["x"] * 10}


async def ask(state: State) -> State:
    return {"x": interrupt("how much?")}


async def say(state: State) -> State:
    write = get_stream_writer()
    write("text")
    write({"index": 1})
    return {}


async def answer(state: State) -> State:
    model = GenericFakeChatModel(messages=iter([AIMessage("well met", id="answer")]))
    return {"messages": [await model.ainvoke("hello")]}


async def return_message(state: State) -> State:
    return {"messages": [AIMessage("whole", id="whole")]}


async def fail(state: State) -> State:
    raise ValueError("no")


def chain(**nodes: Any) -> Graph:
    builder = StateGraph(State)
    before = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
    builder.add_edge(before, END)
    return builder.compile(checkpointer=InMemorySaver())


class Seen:
    """What came out of a graph."""

    def __init__(self, graph: Graph, modes: Sequence[str], *, subgraphs: bool = False) -> None:
        self.stream = GraphStream(graph, modes=modes, subgraphs=subgraphs)
        self.events: list[Event] = []
        self.control = RunControl()

    async def run(self, given: Any, **options: Any) -> "Seen":
        async for event in self.stream.events(given, CONFIG, control=self.control, **options):
            self.events.append(event)
        return self

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    @property
    def data(self) -> list[Any]:
        return [orjson.loads(event.data) for event in self.events]

    def pairs(self) -> Iterator[tuple[str, Any]]:
        return zip(self.names, self.data, strict=True)

    @property
    def values(self) -> Any:
        text = self.stream.values()
        return None if text is None else orjson.loads(text)


async def seen(graph: Graph, *modes: str, given: Any = None, subgraphs: bool = False, **options: Any) -> Seen:
    return await Seen(graph, modes, subgraphs=subgraphs).run({"x": 1} if given is None else given, **options)


async def test_values_are_the_state_before_and_after_every_superstep() -> None:
    found = await seen(chain(one=one, two=two), "values")
    assert found.data == [{"x": x, "messages": []} for x in (1, 2, 20)]
    assert set(found.names) == {"values"}


async def test_updates_are_what_each_node_returned() -> None:
    found = await seen(chain(one=one, two=two), "updates")
    assert list(found.pairs()) == [("updates", {"one": {"x": 2}}), ("updates", {"two": {"x": 20}})]


async def test_the_last_values_are_known_whatever_was_asked_for() -> None:
    for mode in (
        "values",
        "updates",
        "custom",
        "messages",
        "messages-tuple",
        "tasks",
        "checkpoints",
        "debug",
        "events",
    ):
        found = await seen(chain(one=one, two=two), mode)
        assert found.values == {"x": 20, "messages": []}, mode
        assert not found.stream.interrupted, mode


async def test_nobody_gets_a_mode_that_was_not_asked_for() -> None:
    for mode in ("values", "updates", "custom", "tasks", "checkpoints", "debug", "events"):
        found = await seen(chain(one=one, say=say), mode)
        assert {name.partition("|")[0] for name in found.names} == {mode}


async def test_several_modes_come_in_the_order_of_what_happens() -> None:
    found = await seen(chain(one=one, say=say), "values", "updates", "custom")
    assert found.names == ["values", "updates", "values", "custom", "custom", "updates"]


async def test_custom_is_whatever_was_written() -> None:
    assert (await seen(chain(say=say), "custom")).data == ["text", {"index": 1}]


async def test_tasks_come_twice_as_they_begin_and_end() -> None:
    begun, ended = (await seen(chain(one=one), "tasks")).data
    assert (begun["name"], begun["input"]["x"], begun["triggers"]) == ("one", 1, ["branch:to:one"])
    assert (ended["id"], ended["result"], ended["error"], ended["interrupts"]) == (begun["id"], {"x": 2}, None, [])


async def test_checkpoints_tell_their_place_and_nothing_of_the_works_inside() -> None:
    found = await seen(chain(one=one, two=two), "checkpoints")
    assert [data["next"] for data in found.data] == [["__start__"], ["one"], ["two"], []]
    for data in found.data:
        assert set(data) >= {"config", "parent_config", "values", "metadata", "next", "tasks"}
        assert not any(key.startswith("__") for key in data["config"]["configurable"])
    assert found.data[-1]["values"]["x"] == 20


async def test_debug_tells_each_step_and_where_its_checkpoint_is() -> None:
    found = await seen(chain(one=one), "debug")
    kinds = [data["type"] for data in found.data]
    assert kinds == ["checkpoint", "checkpoint", "task", "task_result", "checkpoint"]
    last = found.data[-1]["payload"]
    assert last["checkpoint"]["thread_id"] == "thread"
    assert last["checkpoint"]["checkpoint_id"] == last["config"]["configurable"]["checkpoint_id"]
    assert last["parent_checkpoint"]["checkpoint_id"] != last["checkpoint"]["checkpoint_id"]


async def test_events_are_those_of_langchain() -> None:
    found = await seen(chain(one=one), "events")
    kinds = [data["event"] for data in found.data]
    assert kinds[0] == "on_chain_start"
    assert kinds[-1] == "on_chain_end"
    assert {data["name"] for data in found.data} >= {"one", "LangGraph"}


async def test_events_and_other_modes_go_together() -> None:
    found = await seen(chain(one=one), "events", "values")
    assert [data for name, data in found.pairs() if name == "values"] == [{"x": x, "messages": []} for x in (1, 2)]
    assert found.names.count("events") > 2


async def test_messages_grow_after_their_metadata() -> None:
    found = await seen(chain(answer=answer), "messages")
    assert found.names[0] == "messages/metadata"
    assert set(found.names[1:]) == {"messages/partial"}
    [(key, about)] = found.data[0].items()
    assert about["metadata"]["langgraph_node"] == "answer"
    texts = [message["content"] for [message] in found.data[1:]]
    assert texts[:3] == ["well", "well ", "well met"]
    assert all(texts[-1].startswith(text) for text in texts)
    assert {message["id"] for [message] in found.data[1:]} == {key}
    assert {message["type"] for [message] in found.data[1:]} == {"ai"}


async def test_a_message_that_was_not_streamed_comes_whole() -> None:
    found = await seen(chain(answer=return_message), "messages")
    assert found.names == ["messages/metadata", "messages/complete"]
    assert found.data[1][0]["content"] == "whole"


async def test_message_tuples_are_chunks_each_with_its_metadata() -> None:
    found = await seen(chain(answer=answer), "messages-tuple")
    assert set(found.names) == {"messages"}
    assert "".join(chunk["content"] for chunk, _ in found.data) == "well met"
    assert {chunk["type"] for chunk, _ in found.data} == {"AIMessageChunk"}
    assert {about["langgraph_node"] for _, about in found.data} == {"answer"}


async def test_a_message_tuple_may_be_whole() -> None:
    [(message, about)] = (await seen(chain(answer=return_message), "messages-tuple")).data
    assert (message["type"], message["content"]) == ("ai", "whole")
    assert about["langgraph_node"] == "answer"


async def test_subgraphs_are_silent_unless_asked_for() -> None:
    graph = chain(one=one, below=chain(two=two, say=say))
    found = await seen(graph, "values", "updates", "custom")
    assert found.names == ["values", "updates", "values", "updates", "values"]


async def test_events_of_subgraphs_bear_the_way_to_them() -> None:
    graph = chain(one=one, below=chain(further=chain(two=two), say=say))
    found = await seen(graph, "values", "updates", "custom", "tasks", subgraphs=True)
    suffixes = {name.partition("|")[2] for name in found.names}
    assert "" in suffixes
    [below] = [suffix for suffix in suffixes if suffix.startswith("below:") and "|" not in suffix]
    [further] = [suffix for suffix in suffixes if suffix.count("|") == 1]
    assert further.startswith(f"{below}|further:")
    assert f"custom|{below}" in found.names
    assert f"values|{further}" in found.names
    assert found.values == {"x": 20, "messages": []}


async def test_messages_of_subgraphs_bear_the_way_to_them() -> None:
    graph = chain(below=chain(answer=answer))
    for mode, names in (("messages-tuple", {"messages"}), ("messages", {"messages/metadata", "messages/partial"})):
        found = await seen(graph, mode, subgraphs=True)
        assert {name.partition("|")[0] for name in found.names} >= names
        assert any(name.partition("|")[2].startswith("below:") for name in found.names)


async def test_an_interrupt_is_the_last_of_the_values_and_stays_in_the_result() -> None:
    graph = chain(one=one, ask=ask)
    found = await seen(graph, "values", "updates")
    asked = found.data[-1]["__interrupt__"]
    assert [one["value"] for one in asked] == ["how much?"]
    assert found.stream.interrupted
    assert found.values["x"] == 2
    assert found.values["__interrupt__"] == asked
    assert ("updates", {"__interrupt__": asked}) in list(found.pairs())


@pytest.mark.parametrize("mode", ["values", "custom", "events"])
async def test_an_interrupt_is_seen_whatever_was_asked_for(mode: str) -> None:
    found = await seen(chain(one=one, ask=ask), mode)
    assert found.stream.interrupted
    assert found.values["__interrupt__"][0]["value"] == "how much?"


async def test_a_static_interrupt_is_an_empty_one() -> None:
    graph = chain(one=one, two=two)
    found = await seen(graph, "values", "updates", interrupt_before=["two"])
    assert found.stream.interrupted
    assert found.data[-1] == {"__interrupt__": []}
    assert found.values["x"] == 2
    resumed = Seen(graph, ["values"])
    async for event in resumed.stream.events(None, CONFIG, control=resumed.control):
        resumed.events.append(event)
    assert not resumed.stream.interrupted
    assert resumed.values == {"x": 20, "messages": []}


async def test_what_the_graph_raises_comes_through_after_what_it_said() -> None:
    found = Seen(chain(one=one, fail=fail), ["values"])
    with pytest.raises(ValueError, match="no"):
        await found.run({"x": 1})
    assert [data["x"] for data in found.data] == [1, 2]


async def test_a_drained_graph_stops_after_the_superstep() -> None:
    async def one_and_no_more(state: State) -> State:
        found.control.request_drain("shutdown")
        return await one(state)

    found = Seen(chain(one=one_and_no_more, two=two), ["values"])
    with pytest.raises(GraphDrained):
        await found.run({"x": 1})
    assert [data["x"] for data in found.data] == [1, 2]
    found.control = RunControl()
    assert (await found.run(None)).values == {"x": 20, "messages": []}


async def test_a_reader_that_leaves_ends_the_graph() -> None:
    found = Seen(chain(one=one, two=two), ["values"])
    events = found.stream.events({"x": 1}, CONFIG, control=found.control)
    async for _ in events:
        break
    await events.aclose()
    assert found.values["x"] < 20


async def test_values_are_encoded_once_for_readers_and_result() -> None:
    found = await seen(chain(one=one), "values")
    assert found.stream.values() is found.events[-1].data


async def test_a_value_without_a_json_form_is_a_type_error() -> None:
    async def opaque(state: State) -> State:
        get_stream_writer()(object())
        return {}

    with pytest.raises(TypeError, match="object"):
        await seen(chain(opaque=opaque), "custom")
