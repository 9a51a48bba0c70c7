"""The demo's task_maistro, from its first run to the end of its conversations, by the official client."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import pytest
from langchain_core.messages import AnyMessage
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from fast_graph import fastGraph
from graph_demo.graph import build_graphs
from graph_demo.model import OfflineChatModel
from graph_demo.requests import read_by_rules
from graph_demo.state import Request
from tests.protocol.doors import Door, Doors
from tests.protocol.keeping import Installation
from tests.protocol.requirements import covers
from tests.protocol.serving import served
from tests.protocol.talking import data_of, history_of, new_thread, state_of, streamed, thread_of

GRAPH = "task_maistro"
MINE: dict[str, Any] = {"configurable": {"user_id": "walker", "todo_category": "walk"}}


def user(text: str, **more: str) -> dict[str, Any]:
    """What a user says."""
    return {"messages": [{"role": "user", "content": text, **more}]}


@pytest.fixture(scope="module")
def address(doors: Doors, installation: Installation) -> Iterator[str]:
    """The demo, but whoever speaks of a door waits at it."""

    async def read(messages: Sequence[AnyMessage]) -> Request:
        text = messages[-1].text
        if text.startswith("wait at "):
            await doors.go_through(text.removeprefix("wait at "))
        return await read_by_rules(messages)

    graphs = build_graphs(OfflineChatModel(), read=read)
    with installation() as settings, served(fastGraph(graphs, settings=settings)) as address:
        yield address


@pytest.fixture
async def walker(address: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=address) as client:
        yield client


@covers("walk.background")
async def test_a_run_in_the_background(walker: LangGraphClient, door: Door) -> None:
    thread = await new_thread(walker)
    made = await walker.runs.create(thread, GRAPH, input=user(f"wait at {door.name}"))
    assert made["status"] == "pending"
    seen = await walker.runs.get(thread, made["run_id"])
    assert seen["status"] in ("pending", "running")
    door.open()
    await walker.runs.join(thread, made["run_id"])
    assert (await walker.runs.get(thread, made["run_id"]))["status"] == "success"


@covers("walk.tokens")
async def test_the_answer_arrives_token_by_token(walker: LangGraphClient) -> None:
    thread = await new_thread(walker)
    parts = await streamed(walker, thread, GRAPH, user("add buy milk by tomorrow"), ["messages-tuple"], config=MINE)
    tokens = [message["content"] for message, _ in data_of(parts, "messages")]
    answer = (await state_of(walker, thread))["values"]["messages"][-1]
    assert len(tokens) > 3
    assert "".join(tokens) == answer["content"]
    assert "buy milk" in answer["content"]


@covers("walk.edit")
async def test_a_conversation_is_copied_its_past_edited_and_told_on_from_there(walker: LangGraphClient) -> None:
    thread = await new_thread(walker)
    await walker.runs.wait(thread, GRAPH, input=user("my name is Bob", id="said-first"))
    copies: Any = walker.threads
    copy = (await copies.copy(thread))["thread_id"]
    assert (await state_of(walker, copy))["values"] == (await state_of(walker, thread))["values"]
    past = next(state for state in await history_of(walker, copy) if state["next"] == ["understand"])
    fork: Any = await walker.threads.update_state(
        copy, user("my name is Alice", id="said-first"), checkpoint_id=past["checkpoint_id"]
    )
    edited = await state_of(walker, copy)
    assert [(one["id"], one["content"]) for one in edited["values"]["messages"]] == [("said-first", "my name is Alice")]
    told = await streamed(walker, copy, GRAPH, None, ["values"], checkpoint_id=fork["checkpoint_id"])
    assert "Alice" in data_of(told, "values")[-1]["messages"][-1]["content"]
    assert "Bob" in (await state_of(walker, thread))["values"]["messages"][-1]["content"]


@covers("walk.store")
async def test_the_store_is_filled_paged_through_read_and_emptied(walker: LangGraphClient) -> None:
    for number in range(5):
        await walker.store.put_item(["walk", "notes"], key=f"n{number}", value={"number": number})
    pages = [await walker.store.search_items(["walk"], limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [[item["key"] for item in page["items"]] for page in pages] == [["n0", "n1"], ["n2", "n3"], ["n4"]]
    assert (await walker.store.get_item(["walk", "notes"], key="n3"))["value"] == {"number": 3}
    await walker.store.delete_item(["walk", "notes"], key="n3")
    gone: Any = await walker.store.get_item(["walk", "notes"], key="n3")
    assert gone is None


@covers("walk.store")
async def test_what_the_graph_remembers_is_in_the_store(walker: LangGraphClient) -> None:
    config: Any = {"configurable": {"user_id": "rememberer", "todo_category": "walk"}}
    await walker.runs.wait(await new_thread(walker), GRAPH, input=user("add water the plants"), config=config)
    (item,) = (await walker.store.search_items(["todo", "walk", "rememberer"]))["items"]
    assert item["value"]["task"] == "water the plants"
    listed: Any = await walker.runs.wait(await new_thread(walker), GRAPH, input=user("list my todos"), config=config)
    assert "water the plants" in listed["messages"][-1]["content"]


@covers("walk.gather")
async def test_many_runs_are_created_at_once_and_joined(walker: LangGraphClient) -> None:
    threads = await asyncio.gather(*[new_thread(walker) for _ in range(8)])
    runs = await asyncio.gather(
        *[walker.runs.create(thread, GRAPH, input=user(f"note {n}")) for n, thread in enumerate(threads)]
    )
    values: Any = await asyncio.gather(*[walker.runs.join(run["thread_id"], run["run_id"]) for run in runs])
    assert [one["messages"][-1]["content"] for one in values] == [f"You said: note {n}" for n in range(8)]


@covers("walk.errors")
async def test_errors_are_typed(walker: LangGraphClient, door: Door) -> None:
    thread = await new_thread(walker)
    await walker.runs.create(thread, GRAPH, input=user(f"wait at {door.name}"))
    with pytest.raises(ConflictError):
        await walker.runs.create(thread, GRAPH, input=user("hi"), multitask_strategy="reject")
    with pytest.raises(ConflictError):
        await walker.threads.update_state(thread, user("hi"))
    with pytest.raises(NotFoundError):
        await walker.threads.get_state("nobody's")
    with pytest.raises(UnprocessableEntityError):
        await walker.runs.create(thread, GRAPH, input=user("hi"), stream_mode="bogus")  # type: ignore[arg-type] # the mistake


@covers("walk.client_timeout")
async def test_a_client_that_gives_up_leaves_its_run_well(address: str, walker: LangGraphClient, door: Door) -> None:
    thread = await new_thread(walker)
    async with get_client(url=address, timeout=(5, 0.2, 5, 5)) as hasty:
        with pytest.raises(httpx.ReadTimeout):
            await hasty.runs.wait(thread, GRAPH, input=user(f"wait at {door.name}"))
    await door.reached()
    (run,) = await walker.runs.list(thread)
    assert run["status"] == "running"
    door.open()
    await walker.runs.join(thread, run["run_id"])
    assert (await walker.runs.get(thread, run["run_id"]))["status"] == "success"
    assert (await thread_of(walker, thread))["status"] == "idle"
