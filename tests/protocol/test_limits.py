"""What is answered beyond the limits, and that nothing has happened then."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from langgraph.config import get_stream_writer
from langgraph_sdk import Auth
from typing_extensions import TypedDict

from fast_graph import Settings, fastGraph
from fast_graph.api.limits import DOORS
from fast_graph.api.routing import Route
from tests.protocol.contract.graphs import chain
from tests.protocol.requirements import covers
from tests.protocol.serving import in_process, served, settings

HERE, ELSEWHERE = "10.0.0.1", "10.0.0.2"


class State(TypedDict, total=False):
    size: int
    text: str


async def wait(state: State) -> State:
    await asyncio.Event().wait()
    return {}


async def say(state: State) -> State:
    get_stream_writer()("x" * state["size"])
    return {}


async def write(state: State) -> State:
    return {"text": "x" * state["size"]}


GRAPHS = {
    "forever": chain(State, {"wait": wait}),
    "say": chain(State, {"say": say}),
    "write": chain(State, {"write": write}),
}
FOREVER = {"assistant_id": "forever", "input": {}}


@contextmanager
def limited(**limits: Any) -> Iterator[httpx.Client]:
    """A client of a server on a port, with these limits."""
    with served(fastGraph(GRAPHS, settings=settings(**limits))) as url, httpx.Client(base_url=url, timeout=20) as http:
        yield http


def client_from(app: Any, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://server", timeout=20)


def is_refused(response: httpx.Response, status: int) -> bool:
    """As documented: a text, and a time if waiting helps."""
    assert response.status_code == status, response.text
    assert isinstance(response.json()["detail"], str)
    return status != 429 or int(response.headers["retry-after"]) >= 1


@covers("limits.bodies")
async def test_a_body_that_announces_too_much_is_refused() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(max_body_bytes=1000))) as http:
        assert (await http.post("/threads", content=b"{}".ljust(1000))).status_code == 200
        refused = await http.post("/threads", content=b"{}".ljust(1001), headers={"origin": "http://page.example"})
        assert is_refused(refused, 413)
        assert refused.headers["access-control-allow-origin"] == "*"


@covers("limits.bodies")
def test_a_body_that_goes_on_for_too_long_is_refused_before_its_end() -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100
        yield b"{}"

    with limited(max_body_bytes=1000) as http:
        assert http.post("/threads", content=iter([b"{", b"}"])).status_code == 200
        assert is_refused(http.post("/threads", content=endless()), 413)
        assert http.post("/threads/count", json={}).json() == 1


@covers("limits.recursion")
async def test_too_high_a_recursion_limit_is_refused() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(max_recursion_limit=50))) as http:
        body = {"assistant_id": "write", "input": {"size": 1}, "config": {"recursion_limit": 50}}
        assert (await http.post("/runs/wait", json=body)).json()["text"] == "x"
        body["config"] = {"recursion_limit": 51}
        for path, asked in (("/runs", body), ("/runs/wait", body), ("/runs/batch", [body])):
            assert is_refused(await http.post(path, json=asked), 422)
        made = (await http.post("/assistants", json={"graph_id": "write", "config": body["config"]})).json()
        of_assistant = {"assistant_id": made["assistant_id"], "input": {"size": 1}}
        assert is_refused(await http.post("/runs/wait", json=of_assistant), 422)


@covers("limits.events")
async def test_too_large_an_event_ends_its_run() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(max_event_bytes=1000))) as http:
        body = {"assistant_id": "say", "input": {"size": 900}, "stream_mode": "custom"}
        assert "x" * 900 in (await http.post("/runs/stream", json=body)).text
        body["input"] = {"size": 1000}
        said = (await http.post("/runs/stream", json=body)).text
        assert "x" * 900 not in said
        assert "TooLargeError" in said
        assert "1000 are allowed" in said


@covers("limits.values")
@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_too_large_a_value_ends_its_run_and_changes_nothing(durability: str, any_store: Settings) -> None:
    app = fastGraph(GRAPHS, settings=any_store.model_copy(update={"max_value_bytes": 10_000}))
    async with in_process(app) as http:
        thread = (await http.post("/threads", json={})).json()["thread_id"]
        path = f"/threads/{thread}/runs/wait"
        body = {"assistant_id": "write", "input": {"size": 5000}, "durability": durability, "stream_mode": "updates"}
        assert len((await http.post(path, json=body)).json()["text"]) == 5000
        told = (await http.post(path, json={**body, "input": {"size": 10_000}})).json()
        assert told["__error__"]["error"] == "TooLargeError"
        assert "10000 are allowed" in told["__error__"]["message"]
        [run, _] = (await http.get(f"/threads/{thread}/runs")).json()
        assert run["status"] == "error"
        assert len((await http.get(f"/threads/{thread}/state")).json()["values"]["text"]) == 5000
        assert len((await http.post(path, json={**body, "input": {"size": 10}})).json()["text"]) == 10


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    match request.param:
        case "sqlite":
            return settings(sqlite_path=tmp_path / "graphs.db")
        case "postgres":
            urls = {name: request.getfixturevalue(name) for name in ("postgres_url", "redis_url")}
            return settings(**urls, redis_key_prefix="test")
        case _:
            return settings()


QUOTAS = ["max_pending_runs", "max_runs_per_caller", "max_runs_per_graph"]


@covers("limits.quotas", "limits.quotas.room")
@pytest.mark.parametrize("name", QUOTAS)
async def test_a_run_beyond_a_quota_was_never_there(name: str) -> None:
    app = fastGraph(GRAPHS, settings=settings(worker=False, **{name: 2}))
    async with in_process(app) as http:
        runs = [(await http.post("/runs", json=FOREVER)).json() for _ in range(2)]
        for path in ("/runs", "/runs/stream", "/runs/wait"):
            assert is_refused(await http.post(path, json=FOREVER), 429)
        missing = {**FOREVER, "if_not_exists": "create"}
        assert is_refused(await http.post("/threads/new/runs", json=missing), 429)
        assert (await http.get("/threads/new")).status_code == 404
        assert (await http.post("/threads/count", json={})).json() == 2
        assert (await http.post(f"/runs/{runs[0]['run_id']}/cancel")).status_code == 202
        assert (await http.post("/threads/new/runs", json=missing)).status_code == 200


@covers("limits.quotas.batches")
async def test_a_batch_beyond_a_quota_is_refused_as_a_whole() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(worker=False, max_runs_per_caller=3))) as http:
        assert is_refused(await http.post("/runs/batch", json=[FOREVER] * 4), 429)
        assert (await http.post("/threads/count", json={})).json() == 0
        assert len((await http.post("/runs/batch", json=[FOREVER] * 3)).json()) == 3


@covers("limits.rates")
async def test_who_comes_too_often_is_refused() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(rate_limit="3/hour"))) as http:
        statuses = [(await http.get("/info")).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = await http.get("/info")
        assert is_refused(refused, 429)
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
        assert {(await http.get(path)).status_code for path in ("/ok", "/health")} == {200}


@covers("limits.rates")
async def test_the_longest_of_several_rates_says_how_long() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(rate_limit="2/second;2/day"))) as http:
        answers = [await http.get("/info") for _ in range(3)]
        assert int(answers[-1].headers["retry-after"]) > 86_000


@covers("limits.rates")
async def test_a_rate_is_lifted_when_its_time_is_over() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(rate_limit="2/second"))) as http:
        answers = await asyncio.gather(*(http.get("/info") for _ in range(20)))
        assert 429 in {answer.status_code for answer in answers}
        while (answer := await http.get("/info")).status_code == 429:
            assert answer.headers["retry-after"] == "1"
        assert answer.status_code == 200


@covers("limits.callers")
async def test_each_caller_has_limits_of_their_own() -> None:
    app = fastGraph(GRAPHS, settings=settings(worker=False, rate_limit="4/hour", max_runs_per_caller=1))
    async with app.router.lifespan_context(app):
        for address in (HERE, ELSEWHERE):
            async with client_from(app, address) as http:
                assert (await http.post("/runs", json=FOREVER)).status_code == 200
                assert is_refused(await http.post("/runs", json=FOREVER), 429)
                assert [(await http.get("/info")).status_code for _ in range(3)] == [200, 200, 429]


async def by_name(headers: dict[str, str]) -> str:
    """Whoever has a name may come."""
    if "name" not in headers:
        raise Auth.exceptions.HTTPException(status_code=401, detail="Say who you are")
    return headers["name"]


@covers("limits.callers")
async def test_callers_that_are_known_are_counted_by_who_they_are() -> None:
    limits = settings(worker=False, rate_limit="4/hour", max_runs_per_caller=1)
    async with in_process(fastGraph(GRAPHS, settings=limits, auth=by_name)) as http:
        for name in ("ann", "bob"):
            known = {"name": name}
            assert (await http.post("/runs", json=FOREVER, headers=known)).status_code == 200
            assert is_refused(await http.post("/runs", json=FOREVER, headers=known), 429)
            found = [(await http.post("/threads/count", json={}, headers=known)).status_code for _ in range(3)]
            assert found == [200, 200, 429]


@covers("limits.rates")
async def test_who_is_not_known_is_counted_by_where_they_are() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings(rate_limit="3/hour"), auth=by_name)) as http:
        found = [(await http.post("/threads/count", json={})).status_code for _ in range(5)]
        assert found == [401, 401, 401, 429, 429]
        assert (await http.post("/threads/count", json={}, headers={"name": "ann"})).status_code == 200


@covers("limits.rates")
async def test_where_nobody_asks_who_comes_their_address_counts() -> None:
    async def mine() -> str:
        return "mine"

    app = FastAPI()
    app.add_api_route("/mine", mine)
    async with in_process(fastGraph(GRAPHS, settings=settings(rate_limit="3/hour"), auth=by_name, app=app)) as http:
        assert [(await http.get(path)).status_code for path in ("/mine", "/info", "/nowhere", "/mine")] == [
            *(200, 200, 404),
            429,
        ]


@covers("limits.rates", "limits.streams")
def test_every_route_that_asks_who_comes_is_known_by_its_path() -> None:
    app = fastGraph(GRAPHS, settings=settings(), auth=by_name)
    asking = [route.path for route in app.routes if isinstance(route, Route) and type(route).guard is not None]
    assert asking
    assert [path for path in asking if not DOORS.match(path)] == []


@covers("limits.streams")
async def test_streams_are_counted_by_who_holds_them() -> None:
    limits = settings(worker=False, max_streams_per_caller=1)
    with served(fastGraph(GRAPHS, settings=limits, auth=by_name)) as url:
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            ann, bob = {"name": "ann"}, {"name": "bob"}
            async with http.stream("POST", "/runs/stream", json=FOREVER, headers=ann):
                assert is_refused(await http.post("/runs/stream", json=FOREVER, headers=ann), 429)
                async with http.stream("POST", "/runs/stream", json=FOREVER, headers=bob) as other:
                    assert other.status_code == 200


@covers("limits.streams")
def test_a_stream_too_many_is_refused_before_anything_happens() -> None:
    with limited(max_streams_per_caller=2) as http:
        with http.stream("POST", "/runs/stream", json=FOREVER), http.stream("POST", "/runs/stream", json=FOREVER):
            for path in ("/runs/stream", "/runs/wait"):
                assert is_refused(http.post(path, json=FOREVER), 429)
            for path in ("/runs/x/join", "/runs/x/stream", "/threads/x/runs/x/stream"):
                assert is_refused(http.get(path), 429)
            assert http.post("/threads/count", json={}).json() == 2
            assert http.post("/runs/cancel", json={"status": "all"}).status_code == 204
        body = {"assistant_id": "write", "input": {"size": 3}}
        assert once_there_is_room(http, "/runs/wait", body).json()["text"] == "xxx"


def once_there_is_room(http: httpx.Client, path: str, body: Any) -> httpx.Response:
    """The first answer that is none of 429: what has ended for its client ends a moment later for the server."""
    while (response := http.post(path, json=body)).status_code == 429:
        pass
    return response


@covers("headers.nosniff", "headers.pages")
async def test_browsers_are_told_to_be_careful() -> None:
    async with in_process(fastGraph(GRAPHS, settings=settings())) as http:
        for path in ("/ok", "/docs", "/nowhere", "/threads/x"):
            assert (await http.get(path)).headers["x-content-type-options"] == "nosniff"
        page = (await http.get("/docs")).headers
        assert page["x-frame-options"] == "SAMEORIGIN"
        assert page["content-security-policy"] == "frame-ancestors 'self'"
        assert page["referrer-policy"] == "same-origin"
        assert "x-frame-options" not in (await http.get("/ok")).headers


@covers("cors.settings")
async def test_what_pages_may_do_can_be_set() -> None:
    chosen = settings(
        cors_origins=("https://friend.example",),
        cors_methods=("GET",),
        cors_headers=("x-api-key",),
        cors_credentials=True,
        cors_max_age=5,
    )
    asked = {"origin": "https://friend.example", "access-control-request-method": "GET"}
    async with in_process(fastGraph(GRAPHS, settings=chosen)) as http:
        told = (await http.options("/ok", headers={**asked, "access-control-request-headers": "x-api-key"})).headers
        assert told["access-control-allow-origin"] == "https://friend.example"
        assert told["access-control-allow-methods"] == "GET"
        assert told["access-control-allow-credentials"] == "true"
        assert told["access-control-max-age"] == "5"
        refused = await http.options("/ok", headers={**asked, "access-control-request-method": "DELETE"})
        assert refused.status_code == 400


@covers("cors.settings")
def test_credentials_need_names() -> None:
    with pytest.raises(ValueError, match="has to name the origins"):
        Settings(cors_credentials=True)
