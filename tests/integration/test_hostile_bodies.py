"""Requests that make no sense: each is refused in words, and none leaves a trace."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI

from fast_graph.api import requests
from tests.integration.serving import Site, serving

MEGABYTE = "x" * 1_000_000
ASSISTANT = "11111111-1111-4111-8111-111111111111"
JSON = {"content-type": "application/json"}

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROKEN: dict[str, bytes] = {
    "empty": b"",
    "not json": b"hello",
    "cut off": b'{"assistant_id": "tokens"',
    "nan": b'{"assistant_id": "tokens", "input": NaN}',
    "infinity": b'{"assistant_id": "tokens", "input": -Infinity}',
    "beyond floats": b'{"assistant_id": "tokens", "input": 1e999}',
    "beyond 64 bits": b'{"assistant_id": "tokens", "input": 18446744073709551616}',
    "lone surrogate": b'{"assistant_id": "tokens", "input": "\\ud800"}',
    "not utf-8": b'{"assistant_id": "tokens", "input": "\xff"}',
    "null": b"null",
    "number": b"1",
    "string": b'"tokens"',
    "list": b"[1, 2]",
    "bottomless": b"[" * 100_000,
    "nested": b'{"assistant_id": "tokens", "input": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "byte order mark": b'\xef\xbb\xbf{"assistant_id": "tokens"}',
}

PATHS = [
    "POST /assistants",
    "POST /assistants/search",
    "POST /assistants/count",
    "PATCH /assistants/tokens",
    "POST /assistants/tokens/versions",
    "POST /assistants/tokens/latest",
    "POST /threads",
    "POST /threads/search",
    "POST /threads/count",
    "POST /threads/prune",
    "PATCH /threads/thread",
    "POST /threads/thread/state",
    "PATCH /threads/thread/state",
    "POST /threads/thread/state/checkpoint",
    "POST /threads/thread/history",
    "POST /threads/thread/runs",
    "POST /threads/thread/runs/stream",
    "POST /threads/thread/runs/wait",
    "POST /runs",
    "POST /runs/stream",
    "POST /runs/wait",
    "POST /runs/batch",
    "POST /runs/cancel",
    "PUT /store/items",
    "DELETE /store/items",
    "POST /store/items/search",
    "POST /store/namespaces",
]

MODELS: dict[str, tuple[type[requests.Body], dict[str, Any]]] = {
    "POST /assistants": (requests.AssistantCreate, {"graph_id": "tokens"}),
    "POST /assistants/search": (requests.AssistantSearch, {}),
    f"PATCH /assistants/{ASSISTANT}": (requests.AssistantPatch, {}),
    "POST /assistants/tokens/versions": (requests.AssistantVersions, {}),
    "POST /assistants/tokens/latest": (requests.AssistantVersion, {"version": 1}),
    "POST /threads": (requests.ThreadCreate, {"metadata": {"graph_id": "tokens"}}),
    "POST /threads/search": (requests.ThreadSearch, {}),
    "POST /threads/prune": (requests.ThreadPrune, {"thread_ids": []}),
    "PATCH /threads/thread": (requests.ThreadPatch, {}),
    "POST /threads/thread/state": (requests.StateUpdate, {"values": {}}),
    "PATCH /threads/thread/state": (requests.StatePatch, {}),
    "POST /threads/thread/state/checkpoint": (requests.StateAtCheckpoint, {"checkpoint": {}}),
    "POST /threads/thread/history": (requests.HistorySearch, {}),
    "POST /threads/thread/runs": (requests.RunCreate, {"assistant_id": "tokens", "input": {"count": 1}}),
    "POST /runs/batch": (requests.RunCreate, {"assistant_id": "tokens", "input": {"count": 1}}),
    "POST /runs/cancel": (requests.RunsCancel, {"thread_id": "thread", "run_ids": []}),
    "PUT /store/items": (requests.StorePut, {"namespace": ["a"], "key": "k", "value": {}}),
    "DELETE /store/items": (requests.StoreDelete, {"namespace": ["a"], "key": "k"}),
    "POST /store/items/search": (requests.StoreSearch, {}),
    "POST /store/namespaces": (requests.StoreNamespaces, {}),
}

WRONG: list[Any] = [
    -1, 0, 10**30, 1.5, True, "", "x", "\u0000", "\u202e", "../..", "00000000-0000-0000-0000-000000000000",
    [], [None], [[]], ["x"], [{}], {}, {"": ""}, {"x": [{}]}, {"configurable": "x"}, {"configurable": {"x": 1}},
    {"configurable": []}, {"metadata": "x"}, {"node": 1}, {"resume": "x"}, {"update": "x"}, {"goto": "nowhere"},
    {"goto": [{"node": "nowhere"}]}, {"checkpoint_id": "x"}, {"checkpoint_ns": "x"}, {"checkpoint_map": {"x": 1}},
    {"recursion_limit": "x"}, {"tags": 1}, {"graph_id": 1}, {"graph_id": {}}, {"$gt": 1}, {"x": {"$gt": 1}},
    {"x": {"$where": 1}}, {"callbacks": 1}, {"max_concurrency": -1},
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        body = {"assistant_id": "tokens", "input": {"count": 1}, "if_not_exists": "create"}
        for thread in ("thread", "quiet"):
            await site.client.post(f"/threads/{thread}/runs/wait", json=body)
        await site.client.post("/assistants", json={"assistant_id": ASSISTANT, "graph_id": "tokens"})
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def inside(site: Site) -> AsyncIterator[Site]:
    """The same, without the way over the network."""
    app = FastAPI()
    app.include_router(site.runtime.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as client:
        yield Site(site.runtime, client, site.port)


async def send(site: Site, where: str, content: bytes, headers: dict[str, str] = JSON) -> int:
    """The status of the answer, which is JSON with a detail if it is an error."""
    method, _, path = where.partition(" ")
    response = await site.client.request(method, path, content=content, headers=headers)
    if response.status_code >= 400:
        assert isinstance(orjson.loads(response.content)["detail"], str)
        assert len(response.content) < 10_000
    return response.status_code


@pytest.mark.parametrize("where", PATHS)
async def test_a_body_that_is_not_the_json_it_should_be_is_refused(site: Site, where: str) -> None:
    for name, content in BROKEN.items():
        status = await send(site, where, content)
        assert status in (400, 422), name
    await site.healthy()


@pytest.mark.parametrize("where", MODELS)
async def test_wrong_values_are_refused_and_never_an_internal_error(inside: Site, where: str) -> None:
    model, good = MODELS[where]
    for field in model.model_fields:
        for value in WRONG:
            body = {**good, field: value}
            status = await send(inside, where, json.dumps([body] if "batch" in where else body).encode())
            assert status < 500, (field, value)
            for path in ("/threads/thread/state", "/threads/thread/history", "/threads/thread"):
                assert (await inside.client.get(path)).status_code < 500, (path, field, value)
    await send(inside, "POST /runs/cancel", b'{"status": "all"}')
    await inside.until_idle()
    assert (await inside.client.get("/threads/thread")).json()["status"] != "busy"
    await inside.healthy()


async def test_a_content_type_that_is_not_json_is_refused_or_understood(site: Site) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x"):
        content = b'{"assistant_id": "tokens", "input": {"count": 1}}'
        assert await send(site, "POST /runs/wait", content, {"content-type": content_type}) in (200, 422)


@pytest.mark.parametrize("depth", [100, 254, 255, 256, 300, 500, 900, 1000, 1020])
@pytest.mark.parametrize("field", ["input", "metadata", "context", "config", "command", "value", "values", "filter"])
async def test_deep_values_are_taken_or_refused(site: Site, depth: int, field: str) -> None:
    nested = b'{"x":' * depth + b"1" + b"}" * depth
    wrapped = {"config": b'{"configurable":%b}' % nested, "command": b'{"update":%b}' % nested}.get(field, nested)
    where = {"value": "PUT /store/items", "values": "POST /threads/thread/state", "filter": "POST /store/items/search"}
    body = b'{"assistant_id":"process","namespace":["a"],"key":"k","%b":%b}' % (field.encode(), wrapped)
    assert await send(site, where.get(field, "POST /runs/wait"), body) in (200, 204, 400, 422)
    await site.healthy()


async def test_long_ids_are_refused_in_few_words(site: Site) -> None:
    run = {"assistant_id": "tokens", "input": {}}
    bodies: list[tuple[str, Any]] = [
        ("POST /threads", {"thread_id": MEGABYTE}),
        ("POST /assistants", {"graph_id": "tokens", "assistant_id": MEGABYTE}),
        ("POST /assistants", {"graph_id": MEGABYTE}),
        ("POST /assistants/search", {"graph_id": MEGABYTE}),
        ("POST /runs/wait", {**run, "assistant_id": MEGABYTE}),
        ("POST /runs/wait", {**run, "checkpoint_id": MEGABYTE}),
        ("POST /runs/cancel", {"thread_id": MEGABYTE, "run_ids": [str(uuid4())]}),
        ("POST /runs/cancel", {"thread_id": "thread", "run_ids": [MEGABYTE]}),
        ("POST /threads/prune", {"thread_ids": [MEGABYTE]}),
        ("POST /runs/wait", {**run, "stream_mode": MEGABYTE}),
        ("POST /store/items/search", {"filter": {"x": {"$" + MEGABYTE: 1}}}),
        ("PUT /store/items", {"namespace": [MEGABYTE + "."], "key": "k", "value": {}}),
    ]
    for where, body in bodies:
        status = await send(site, where, orjson.dumps(body))
        assert 400 <= status < 500, where
    await site.healthy()


@pytest.mark.parametrize(
    "thread_id", ["a/b", "ü", "日本語", "😀", "a b", "a%2Fb", "a?b", "a#b", "..", "'\"", "a\\b", "user_123", "x" * 255]
)
async def test_a_printable_id_works_in_every_place(site: Site, thread_id: str) -> None:
    path = "/threads/" + quote(thread_id, safe="")
    if thread_id == "..":  # clients resolve it before they send it
        path = "/threads/%2E%2E"
    made = await site.client.post("/threads", json={"thread_id": thread_id})
    assert made.json()["thread_id"] == thread_id
    body = {"assistant_id": "tokens", "input": {"count": 1}}
    waited = await site.client.post(path + "/runs/wait", json=body)
    assert waited.json()["log"] == ["said", "done"]
    location = waited.headers["content-location"]
    assert (await site.client.get(location)).json()["thread_id"] == thread_id
    assert (await site.client.delete(path)).status_code == 204
    assert (await site.client.get(path)).status_code == 404


@pytest.mark.parametrize("thread_id", ["", "a\nb", "a\x00b", "\u202e", "\u200b", "x" * 256, "\ufffe"])
async def test_an_id_that_cannot_be_printed_is_refused(site: Site, thread_id: str) -> None:
    assert await send(site, "POST /threads", orjson.dumps({"thread_id": thread_id})) == 422
    if thread_id:
        path = f"/threads/{quote(thread_id, safe='')}"
        assert (await site.client.get(path)).status_code in (404, 422)
        assert await send(site, f"POST {path}/runs", b'{"assistant_id": "tokens", "if_not_exists": "create"}') == 422


@pytest.mark.parametrize("path", ["%", "%ff", "%ed%a0%80", "%00", "%2f", "%2F%2f", "a%", "%u0041", "a;b", "a,b"])
async def test_odd_paths_are_answered(site: Site, path: str) -> None:
    for where in ("/threads/{}", "/threads/{}/state", "/threads/{}/runs", "/assistants/{}", "/runs/{}"):
        response = await site.client.get(where.format(path))
        assert response.status_code in (404, 422)
    await site.healthy()


QUERIES = [
    "limit=0", "limit=x", "limit=1e3", "limit=-1", "limit=100000000000000000000", "offset=-1", "offset=x",
    "offset=100000000000000000000", "status=x", "select=x", "select=[", 'select=["run_id"', "select=[1]", "select=%ff",
    "xray=x", "xray=-1", "xray=²", "subgraphs=x", "recurse=x", "before=x", "wait=x", "action=x", "stream_mode=x",
    "cancel_on_disconnect=x", "delete_threads=x", "key=", "namespace=", "namespace=.", "refresh_ttl=x",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
async def test_odd_queries_are_answered(site: Site, query: str) -> None:
    [run] = (await site.client.get("/threads/quiet/runs")).json()
    paths = [
        "/threads/thread/runs",
        "/threads/thread/state",
        "/threads/thread/history",
        "/assistants/tokens/graph",
        "/assistants/tokens/subgraphs",
        "/store/items",
        f"/threads/quiet/runs/{run['run_id']}/stream",
        f"/threads/quiet/runs/{run['run_id']}/join",
    ]
    for path in paths:
        assert (await site.client.get(f"{path}?{query}")).status_code < 500, path
    assert (await site.client.post(f"{paths[-1][:-5]}/cancel?{query}")).status_code in (404, 422)


@pytest.mark.parametrize("last_event_id", ["x", "-", "1-", "-2", "1-x", "²", "1-²", "9" * 1000, "1-" + "9" * 5000, "é"])
async def test_odd_event_ids_are_answered(site: Site, last_event_id: str) -> None:
    [run] = (await site.client.get("/threads/quiet/runs")).json()
    headers = {b"last-event-id": last_event_id.encode()}
    response = await site.client.get(f"/threads/quiet/runs/{run['run_id']}/stream", headers=headers)
    assert response.status_code in (200, 422)
