import json
import re
from base64 import b64encode
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError

from fast_graph import MemoryBackend, SealedBackend, fastGraph
from tests.protocol.contract.graphs import contract_graphs
from tests.protocol.requirements import covers
from tests.protocol.serving import in_process, settings
from tests.protocol.talking import assistant_of, final, new_thread, started, thread_of


@covers("meta.ok")
@pytest.mark.parametrize("path", ["/ok", "/", "/ok?check_db=1"])
async def test_the_server_says_that_it_is_up(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 200
    assert response.json()["ok"] is True


@covers("meta.health")
async def test_health_says_that_the_server_is_up(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health")).json()["status"] == "healthy"


@covers("meta.root_for_browsers")
async def test_a_browser_is_sent_to_the_documentation(http: httpx.AsyncClient) -> None:
    response = await http.get("/", headers={"accept": "text/html,*/*"})
    assert response.is_redirect
    assert response.headers["location"] == "/docs"


@covers("meta.info")
async def test_info_has_versions_flags_and_host(http: httpx.AsyncClient) -> None:
    info = (await http.get("/info")).json()
    assert re.match(r"\d+\.\d+", info["version"])
    assert re.match(r"\d+\.\d+", info["langgraph_py_version"])
    assert info["flags"]["assistants"] is True
    assert info["host"]["kind"] == "self-hosted"


@covers("meta.info.crons")
async def test_info_says_that_there_are_no_crons(http: httpx.AsyncClient) -> None:
    assert (await http.get("/info")).json()["flags"]["crons"] is False


@covers("meta.docs")
async def test_openapi_describes_the_paths_that_are_served(http: httpx.AsyncClient) -> None:
    described = (await http.get("/openapi.json")).json()["paths"]
    assert {"get", "patch", "delete"} <= described["/threads/{thread_id}"].keys()
    assert {"/assistants/search", "/threads/{thread_id}/runs/stream", "/runs/wait", "/store/items"} <= described.keys()
    assert "text/html" in (await http.get("/docs")).headers["content-type"]


@covers("meta.unknown_path")
async def test_an_unknown_path_is_404(http: httpx.AsyncClient) -> None:
    response = await http.get("/nothing-here")
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


@covers("meta.wrong_method")
@pytest.mark.parametrize(("path", "allowed"), [("/threads", "POST"), ("/ok", "GET")])
async def test_a_wrong_method_is_told_the_right_one(http: httpx.AsyncClient, path: str, allowed: str) -> None:
    response = await http.put(path)
    assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})
    assert response.headers["allow"] == allowed


@covers("cors.origins")
async def test_pages_of_every_origin_may_call(http: httpx.AsyncClient) -> None:
    response = await http.post("/threads", json={}, headers={"origin": "http://page.example"})
    assert response.headers["access-control-allow-origin"] == "*"


@covers("cors.preflight")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_preflight_allows_every_method(http: httpx.AsyncClient, method: str) -> None:
    asked = {
        "origin": "http://page.example",
        "access-control-request-method": method,
        "access-control-request-headers": "x-api-key,last-event-id",
        "access-control-request-private-network": "true",
    }
    response = await http.options("/threads", headers=asked)
    assert response.status_code == 200
    assert method in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == "x-api-key,last-event-id"
    assert response.headers["access-control-allow-private-network"] == "true"
    assert response.headers["access-control-max-age"] == "600"


@covers("cors.exposed")
async def test_pages_may_read_the_headers_that_lead_back(http: httpx.AsyncClient) -> None:
    response = await http.get("/ok", headers={"origin": "http://page.example"})
    exposed = set(response.headers["access-control-expose-headers"].split(", "))
    assert exposed == {"x-pagination-total", "x-pagination-next", "content-location", "location", "retry-after"}


REFUSED: list[tuple[str, str, Any, int]] = [
    ("GET", "/threads/unknown", None, 404),
    ("POST", "/threads/unknown/copy", None, 409),
    ("POST", "/threads/search", {"limit": 0}, 422),
    ("POST", "/threads", [], 422),
    ("PUT", "/store/items", {"namespace": [], "key": "k", "value": {}}, 400),
    ("PUT", "/store/items", {"namespace": ["a.b"], "key": "k", "value": {}}, 422),
    ("GET", "/store/items", None, 400),
    ("GET", "/threads/t/runs?limit=x", None, 422),
]


@covers("errors.detail")
@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
async def test_every_refusal_has_one_text(
    http: httpx.AsyncClient, method: str, path: str, body: Any, status: int
) -> None:
    response = await http.request(method, path, json=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"detail"}
    assert isinstance(response.json()["detail"], str)


@covers("errors.invalid_json")
@pytest.mark.parametrize("content", [b"{", b"", b"NaN", b'{"metadata": "\xff"}'])
async def test_a_body_that_is_not_json_is_422(http: httpx.AsyncClient, content: bytes) -> None:
    response = await http.post("/threads", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert isinstance(response.json()["detail"], str)


@covers("errors.unknown_fields")
async def test_unknown_fields_are_ignored(http: httpx.AsyncClient) -> None:
    response = await http.post("/threads", json={"metadata": {"a": 1}, "colour": "blue"})
    assert response.status_code == 200
    assert "colour" not in response.json()


@covers("errors.null_fields")
async def test_null_counts_as_left_out(http: httpx.AsyncClient) -> None:
    response = await http.post("/threads", json={"metadata": None, "if_exists": None, "supersteps": None})
    assert response.status_code == 200
    assert response.json()["metadata"] == {}


@covers("errors.numbers_as_text")
async def test_numbers_may_be_text(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await http.post("/threads", json={})
    assert len((await http.post("/threads/search", json={"limit": "2"})).json()) == 2


@covers("errors.query_values")
@pytest.mark.parametrize("query", ["state?subgraphs=maybe", "history?limit=x", "runs?offset=x"])
async def test_a_query_value_that_does_not_fit_is_refused(http: httpx.AsyncClient, query: str) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    assert (await http.get(f"/threads/t/{query}")).status_code == 422


@covers("errors.typed")
async def test_the_client_raises_its_typed_errors(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    with pytest.raises(NotFoundError, match="not found"):
        await client.threads.get("unknown")
    with pytest.raises(ConflictError, match="exists"):
        await client.threads.create(thread_id=thread)
    with pytest.raises(UnprocessableEntityError, match="limit"):
        await client.threads.search(limit=0)
    with pytest.raises(BadRequestError, match="context"):
        await started(client, thread, "echo", {}, context={"a": 1}, config={"configurable": {"a": 1}})


@covers("errors.huge_integers")
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (2**64, 422),
        (-(2**63) - 1, 422),
        (10**400, 422),
        (2**64 - 1, 200),
        (-(2**63), 200),
        ("18446744073709551616", 200),
        (1.5e300, 200),
    ],
)
async def test_an_integer_is_kept_as_it_is_or_refused(http: httpx.AsyncClient, number: object, status: int) -> None:
    answer = await http.post("/threads", content=json.dumps({"metadata": {"deep": [{"number": number}]}}))
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["metadata"] == {"deep": [{"number": number}]}


@covers("errors.encrypted")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/threads/search", {"values": {"content": "x"}}),
        ("/threads/count", {"values": {"content": "x"}}),
        ("/store/items/search", {"filter": {"content": "x"}}),
    ],
)
async def test_what_is_encrypted_is_not_searched(path: str, body: dict[str, object]) -> None:
    keys = (b64encode(bytes(32)).decode(),)
    app = fastGraph(contract_graphs(), backend=SealedBackend(backend=MemoryBackend(), keys=keys), settings=settings())
    async with in_process(app) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 422
    assert "encrypted" in answer.json()["detail"]


@covers("errors.unexpected")
async def test_the_unexpected_tells_an_id_and_nothing_else(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await http.get("/assistants/broken/schemas")
    assert response.status_code == 500
    (incident,) = re.findall(r"[0-9a-f]{32}", response.json()["detail"])
    assert "password" not in response.text
    assert incident in caplog.text


@covers("ids.any_string")
@pytest.mark.parametrize("thread", ["user_123_session", "x", "a" * 255, "Zoë's thread", "bad"])
async def test_any_printable_text_is_a_threads_id(client: LangGraphClient, thread: str) -> None:
    assert await new_thread(client, thread_id=thread) == thread
    assert (await thread_of(client, thread))["thread_id"] == thread
    assert await final(client, thread, "echo", {"content": "x"}) == {"content": "echo: x"}


@covers("ids.any_string")
@pytest.mark.parametrize("thread", ["", "a" * 256, "two\nlines", "nul\x00"])
async def test_other_text_is_not(http: httpx.AsyncClient, thread: str) -> None:
    assert (await http.post("/threads", json={"thread_id": thread})).status_code == 422


@covers("ids.any_string")
async def test_an_unknown_id_is_not_found_whatever_it_looks_like(client: LangGraphClient) -> None:
    for thread in ("bad", str(uuid4())):
        with pytest.raises(NotFoundError):
            await client.threads.get(thread)


@covers("ids.slashes")
@pytest.mark.parametrize("thread", ["org/team/7", "100%", "a/b?c#d", "%2F", "..", "a b"])
async def test_ids_with_slashes_work_everywhere(client: LangGraphClient, http: httpx.AsyncClient, thread: str) -> None:
    await new_thread(client, thread_id=thread)
    run = await started(client, thread, "echo", {"content": "x"})
    assert run["thread_id"] == thread
    assert await client.runs.join(thread, run["run_id"]) == {"content": "echo: x"}
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "success"
    assert [row["run_id"] for row in await client.runs.list(thread)] == [run["run_id"]]
    assert (await client.threads.get_state(thread))["values"] == {"content": "echo: x"}


@covers("ids.slashes")
async def test_locations_are_encoded_like_the_paths_they_name(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    await new_thread(client, thread_id="org/7")
    made = await http.post("/threads/org%2F7/runs", json={"assistant_id": "echo", "input": {}})
    location = made.headers["content-location"]
    assert location == f"/threads/org%2F7/runs/{made.json()['run_id']}"
    assert (await http.get(location)).json()["run_id"] == made.json()["run_id"]


@covers("ids.uuids")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/threads/t/runs/bad"),
        ("DELETE", "/threads/t/runs/bad"),
        ("GET", "/threads/t/runs/bad/join"),
        ("GET", "/threads/t/runs/bad/stream"),
        ("POST", "/threads/t/runs/bad/cancel"),
        ("DELETE", "/assistants/not-a-uuid"),
        ("GET", "/assistants/not-a-uuid/schemas"),
    ],
)
async def test_ids_of_runs_and_assistants_are_uuids(http: httpx.AsyncClient, method: str, path: str) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    assert (await http.request(method, path)).status_code == 422


@covers("ids.new")
async def test_new_ids_are_in_order_of_time(client: LangGraphClient) -> None:
    threads = [await new_thread(client) for _ in range(5)]
    assert threads == sorted(threads)
    run = await started(client, threads[0], "echo", {})
    assert [UUID(one).version for one in (threads[0], run["run_id"])] == [7, 7]
    assert UUID((await assistant_of(client))["assistant_id"]).version == 4


@covers("times.iso")
async def test_times_have_microseconds_and_a_zone(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    run = await started(client, thread, "echo", {})
    rows: list[Any] = [await client.threads.get(thread), run, await client.assistants.get("echo")]
    for row in rows:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", row["created_at"])


@covers("pages.limits")
@pytest.mark.parametrize("path", ["/assistants/search", "/threads/search"])
@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"limit": "many"}])
async def test_pages_have_bounds(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    assert (await http.post(path, json=body)).status_code == 422
    assert (await http.post(path, json={"limit": 1000})).status_code == 200


@covers("pages.next", "pages.total", "pages.limits")
async def test_a_page_tells_the_next_one_and_how_many_rows_there_are(http: httpx.AsyncClient) -> None:
    for _ in range(12):
        await http.post("/threads", json={})
    first = await http.post("/threads/search", json={})
    assert len(first.json()) == 10
    assert (first.headers["x-pagination-total"], first.headers["x-pagination-next"]) == ("12", "10")
    last = await http.post("/threads/search", json={"offset": 10})
    assert len(last.json()) == 2
    assert last.headers["x-pagination-total"] == "12"
    assert "x-pagination-next" not in last.headers


@covers("not_yet.metrics", "not_yet.thread_storage", "not_yet.thread_stream", "not_yet.event_stream")
@covers("not_yet.crons", "not_yet.a2a", "not_yet.mcp", "not_yet.ui")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/metrics"),
        ("GET", "/threads/t/storage"),
        ("GET", "/threads/t/stream"),
        ("POST", "/threads/t/stream/events"),
        ("POST", "/threads/t/commands"),
        ("POST", "/runs/crons/search"),
        ("POST", "/a2a/echo"),
        ("GET", "/.well-known/agent-card.json"),
        ("POST", "/mcp"),
        ("POST", "/ui/echo"),
    ],
)
async def test_what_is_not_served_is_not_found(http: httpx.AsyncClient, method: str, path: str) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    response = await http.request(method, path, json={})
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


@covers("not_yet.crons")
@pytest.mark.parametrize("path", ["/runs/crons", "/threads/t/runs/crons"])
async def test_creating_a_cron_starts_nothing(http: httpx.AsyncClient, path: str) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    body = {"assistant_id": "echo", "schedule": "* * * * *", "input": {}}
    assert (await http.post(path, json=body)).status_code in (404, 405)
    assert (await http.get("/threads/t/runs")).json() == []
    assert (await http.post("/threads/count", json={})).json() == 1
