"""What clients may not do, and what a refused request leaves behind: nothing."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langchain_core.messages import AnyMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from fast_graph import Settings, fastGraph
from fast_graph.api import sse


class State(TypedDict, total=False):
    text: str
    messages: Annotated[list[AnyMessage], add_messages]


def shout(state: State) -> State:
    return {"text": state.get("text", "").upper()}


GRAPH = StateGraph(State).add_node("shout", shout).add_edge(START, "shout").add_edge("shout", END)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = fastGraph({"shout": GRAPH}, settings=Settings())
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def run(client: httpx.AsyncClient, thread_id: str, **body: Any) -> httpx.Response:
    request = {"assistant_id": "shout", "input": {"text": "a"}, "if_not_exists": "create", **body}
    return await client.post(f"/threads/{thread_id}/runs/wait", json=request)


async def test_an_assistant_cannot_switch_off_the_checkpointer(client: httpx.AsyncClient) -> None:
    config = {"configurable": {"__pregel_checkpointer": False}, "callbacks": ["x"]}
    made = (await client.post("/assistants", json={"graph_id": "shout", "config": config})).json()
    assert (await run(client, "t", assistant_id=made["assistant_id"])).json()["text"] == "A"
    assert (await client.get("/threads/t/state")).json()["values"]["text"] == "A"


async def test_metadata_cannot_give_a_thread_to_another_graph(client: httpx.AsyncClient) -> None:
    await run(client, "t", metadata={"graph_id": "nope", "assistant_id": "nobody", "mine": 1})
    assert (await client.get("/threads/t")).json()["metadata"]["graph_id"] == "shout"
    assert (await client.get("/threads/t/state")).status_code == 200


async def test_nor_can_that_of_a_stateless_run(client: httpx.AsyncClient) -> None:
    body = {"assistant_id": "shout", "input": {}, "on_completion": "keep", "metadata": {"graph_id": "nope"}}
    made = (await client.post("/runs", json=body)).json()
    await client.get(f"/runs/{made['run_id']}/join")
    assert (await client.get(f"/threads/{made['thread_id']}")).json()["metadata"]["graph_id"] == "shout"


async def test_an_update_that_a_reducer_cannot_take_is_refused(client: httpx.AsyncClient) -> None:
    await run(client, "t")
    answer = await client.post("/threads/t/state", json={"values": {"messages": [5]}, "as_node": "shout"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("NotImplementedError")


async def test_a_filter_that_mixes_operators_and_values_is_refused(client: httpx.AsyncClient) -> None:
    await client.put("/store/items", json={"namespace": ["a"], "key": "k", "value": {"x": {"y": 2}}})
    search = {"namespace_prefix": ["a"], "filter": {"x": {"$eq": 1, "y": 2}}}
    assert (await client.post("/store/items/search", json=search)).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/threads/search", {"extract": {"a": f"values.x[{'9' * 5000}]"}}),
        ("GET", f"/assistants/shout/graph?xray={'9' * 5000}", None),
        ("GET", f"/threads/t/runs?select={'[' * 3000}", None),
    ],
)
async def test_endless_digits_and_brackets_are_no_trouble(
    client: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    await run(client, "t")
    assert (await client.request(method, path, json=body)).status_code in (200, 422)


async def test_pruning_removes_nothing_if_one_id_is_malformed(client: httpx.AsyncClient) -> None:
    await run(client, "t")
    assert (await client.post("/threads/prune", json={"thread_ids": ["t", ""]})).status_code == 422
    assert (await client.get("/threads/t")).status_code == 200


async def test_ids_are_the_same_in_either_case(client: httpx.AsyncClient) -> None:
    assistant_id = "ABCDEF00-0000-4000-8000-000000000001"
    await client.post("/assistants", json={"graph_id": "shout", "assistant_id": assistant_id})
    assert (await client.get(f"/assistants/{assistant_id.lower()}")).status_code == 200
    assert (await client.get(f"/assistants/{assistant_id}")).status_code == 200


async def test_a_stateless_run_in_flight_can_be_deleted_with_its_thread(client: httpx.AsyncClient) -> None:
    made = (await client.post("/runs", json={"assistant_id": "shout", "input": {}, "after_seconds": 60})).json()
    assert (await client.delete(f"/threads/{made['thread_id']}/runs/{made['run_id']}")).status_code == 204
    assert (await client.get(f"/threads/{made['thread_id']}")).status_code == 404


async def test_an_answer_that_takes_its_time_bears_the_headers_of_one_that_does_not(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = await run(client, "t")
    monkeypatch.setattr(sse, "GRACE", 0)
    slow = await run(client, "t", after_seconds=0.01)
    assert slow.json() == at_once.json()
    extra = {"content-length", "x-accel-buffering", "connection"}
    assert set(slow.headers) - extra == set(at_once.headers) - extra
