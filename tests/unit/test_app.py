"""``fastGraph``: what it refuses, and what it leaves as it was."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from langgraph_sdk import Auth
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from fast_graph import Bounds, ConfigurationError, Runtime, Settings, fastGraph
from fast_graph.app import allowed_origins
from fast_graph.backends.memory.backend import MemoryStores
from fast_graph.model.clock import system_clock
from tests.unit.graphs.sources import builder, compiled
from tests.unit.hosts import DEFAULTS, GRAPHS, answer, started

SHOUTED = {"text": "HI"}


async def hello() -> str:
    return "hello"


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers everything."""
    await PlainTextResponse("theirs")(scope, receive, send)


# What cannot work is refused, and nothing is started.


def refused(said: str, *args: Any, **options: Any) -> None:
    with pytest.raises(ConfigurationError, match=said):
        fastGraph(*args, **{"settings": DEFAULTS, **options})


def test_a_name_is_given_once() -> None:
    refused("'a' is given twice", {"a": compiled()}, graph_factory=lambda: {"a": compiled(), "b": compiled()})


@pytest.mark.parametrize("graphs", [[compiled()], compiled(), "shout", (("a", compiled()),)])
def test_graphs_are_given_by_name(graphs: Any) -> None:
    refused("give graphs by name, as a dict", graphs)
    refused("graph_factory returned an object of type .* give graphs by name", None, graph_factory=lambda: graphs)


def test_a_factory_of_graphs_that_returns_nothing_is_refused() -> None:
    refused("graph_factory returned an object of type NoneType", GRAPHS, graph_factory=lambda: None)


@pytest.mark.parametrize("name", ["", " ", "a/b", 3])
def test_a_name_that_cannot_be_served_is_refused(name: Any) -> None:
    refused("name", {name: compiled()})
    refused("name", graph_factory=lambda: {name: compiled()})


def test_auth_that_nobody_understands_is_refused() -> None:
    refused("give a langgraph_sdk.Auth, a function, or Depends", GRAPHS, auth=object())


KEYS = DEFAULTS.model_copy(update={"api_keys": f"alice:{'0' * 64}"})


def test_there_is_one_way_to_say_who_asks() -> None:
    refused("auth says who sends a request, and so do", GRAPHS, auth=lambda authorization: "alice", settings=KEYS)
    refused("has no @auth.authenticate", GRAPHS, auth=Auth())
    refused("asks for 'token'", GRAPHS, auth=lambda token: "alice")


@pytest.mark.parametrize("keys", ["", " ", ",", "alice", f"alice:{'0' * 64},"])
def test_keys_that_are_none_open_no_door(keys: str) -> None:
    refused("API key number", GRAPHS, settings=DEFAULTS.model_copy(update={"api_keys": keys}))


async def test_handlers_go_with_the_keys_of_the_settings() -> None:
    app = fastGraph(GRAPHS, auth=Auth(), settings=KEYS)
    async with started(app) as client:
        assert (await client.post("/threads/search", json={})).status_code == 401


@pytest.mark.parametrize("prefix", ["", "/agents"])
async def test_a_router_in_an_app_of_ones_own_asks_as_well(prefix: str) -> None:
    runtime = Runtime(GRAPHS, auth=lambda authorization: authorization, settings=DEFAULTS)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime:
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(runtime.router, prefix=prefix)
    async with started(app) as client:
        answers = [
            await client.post(f"{prefix}/threads/search", json={}, headers=headers)
            for headers in ({}, {"authorization": "alice"})
        ]
        theirs = await client.get(f"{prefix}/ok")
    assert [answer.status_code for answer in (*answers, theirs)] == [401, 200, 200]


async def test_routes_of_ones_own_are_asked_by_nobody_else() -> None:
    app = FastAPI()
    app.add_api_route("/hello", hello)
    async with started(fastGraph(GRAPHS, app=app, settings=KEYS)) as client:
        assert [(await client.get(path)).status_code for path in ("/hello", "/threads/t")] == [200, 401]


def test_a_lifespan_goes_by_its_own_name() -> None:
    refused("custom_lifespan", GRAPHS, lifespan=lambda app: None)


def test_options_of_an_app_that_exists_are_set_on_it() -> None:
    refused("app is given, so title, debug must be set on it", GRAPHS, app=FastAPI(), title="mine", debug=True)


@pytest.mark.parametrize(
    ("method", "path", "hidden"),
    [
        ("GET", "/info", "GET /info"),
        ("POST", "/threads", "POST /threads"),
        ("GET", "/threads/{some_id}", "GET /threads/{thread_id}"),
        ("POST", "/threads/{some_id:path}", "POST /threads/"),
        ("GET", "/{everything:path}", "GET /"),
        ("POST", "/{kind}/search", "POST /assistants/search"),
    ],
)
def test_an_app_whose_own_routes_hide_the_servers_is_refused(method: str, path: str, hidden: str) -> None:
    app = FastAPI()
    app.add_api_route(path, hello, methods=[method])
    refused("The app answers .* itself .*: move it", GRAPHS, app=app)


def test_an_app_whose_included_routes_hide_the_servers_is_refused() -> None:
    router, app = APIRouter(), FastAPI()
    router.add_api_route("/threads/{id}/runs/{of}", hello, methods=["GET"])
    app.include_router(router)
    refused("The app answers GET /threads/{thread_id}/runs/{run_id} itself", GRAPHS, app=app)


def test_an_app_with_a_catch_all_mount_is_refused() -> None:
    app = FastAPI()
    app.mount("/", plain)
    refused("The app answers .* itself", GRAPHS, app=app)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/info"), ("GET", "/"), ("GET", "/mine"), ("GET", "/mine/{thread_id}/runs")]
)
async def test_routes_that_are_nobodys_are_the_apps_own(method: str, path: str) -> None:
    app = FastAPI()
    app.add_api_route(path, hello, methods=[method])
    async with started(fastGraph(GRAPHS, settings=DEFAULTS, app=app)) as client:
        reply = await client.request(method, path.replace("{thread_id}", "3"))
        assert reply.json() == "hello"
        assert await answer(client) == SHOUTED


async def test_a_mount_that_is_added_afterwards_gets_the_rest() -> None:
    app = fastGraph(GRAPHS, settings=DEFAULTS)
    app.router.routes.append(Mount("/", plain))
    async with started(app) as client:
        assert (await client.get("/index.html")).text == "theirs"
        assert await answer(client) == SHOUTED


# What it makes.


async def test_graphs_may_come_from_both_places() -> None:
    calls: list[int] = []

    def more() -> dict[str, object]:
        calls.append(1)
        return {"other": builder()}

    app = fastGraph(GRAPHS, graph_factory=more, settings=DEFAULTS)
    assert calls == [1]
    async with started(app) as client:
        found = (await client.post("/assistants/search", json={})).json()
    assert sorted(one["graph_id"] for one in found) == ["other", "shout"]
    assert calls == [1]


async def test_a_server_without_graphs_starts() -> None:
    async with started(fastGraph(settings=DEFAULTS)) as client:
        assert (await client.post("/assistants/search", json={})).json() == []


def test_the_runtime_is_found_on_the_app() -> None:
    assert isinstance(fastGraph(GRAPHS, settings=DEFAULTS).state.fast_graph, Runtime)


def test_options_are_passed_on() -> None:
    app = fastGraph(GRAPHS, settings=DEFAULTS, title="mine", docs_url=None)
    assert (app.title, app.docs_url) == ("mine", None)


async def test_pages_of_the_origins_named_may_use_the_api() -> None:
    settings = DEFAULTS.model_copy(update={"cors_origins": ("https://a.example",)})
    async with started(fastGraph(GRAPHS, settings=settings)) as client:
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
            reply = await client.get("/ok", headers={"origin": origin})
            assert reply.headers.get("access-control-allow-origin") == allowed


# Lifespans.


def noting(events: list[str], name: str, state: Any = None) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        events.append(f"{name} starts")
        yield state
        events.append(f"{name} stops")

    return lifespan


class NotingStores(MemoryStores):
    """Stores that note when the server opens and closes them."""

    def __init__(self, events: list[str]) -> None:
        super().__init__(system_clock, Bounds())
        self._events = events

    async def __aenter__(self) -> Self:
        self._events.append("server starts")
        return await super().__aenter__()

    async def __aexit__(self, *details: Any) -> None:
        await super().__aexit__(*details)
        self._events.append("server stops")


@dataclass(frozen=True)
class NotingBackend:
    events: list[str]
    name: str = "noting"

    def connect(self) -> MemoryStores:
        return NotingStores(self.events)


async def test_the_custom_lifespan_is_around_everything() -> None:
    events: list[str] = []
    app = fastGraph(
        GRAPHS,
        backend=NotingBackend(events),
        settings=DEFAULTS,
        custom_lifespan=noting(events, "custom"),
        app=FastAPI(lifespan=noting(events, "app")),
    )
    async with started(app) as client:
        assert await answer(client) == SHOUTED
        events.append("run")
    starts = ["custom starts", "app starts", "server starts"]
    assert events == [*starts, "run", "server stops", "app stops", "custom stops"]


async def test_the_custom_lifespan_gets_the_app() -> None:
    got: list[FastAPI] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        got.append(app)
        yield

    app = fastGraph(GRAPHS, settings=DEFAULTS, custom_lifespan=lifespan)
    async with started(app):
        assert got == [app]


async def test_the_state_of_the_apps_lifespan_stays() -> None:
    app = FastAPI(lifespan=noting([], "app", {"pool": "open"}))
    fastGraph(GRAPHS, settings=DEFAULTS, app=app)
    async with app.router.lifespan_context(app) as state:
        assert state == {"pool": "open"}


async def test_a_custom_lifespan_that_fails_starts_nothing() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def failing(app: FastAPI) -> AsyncIterator[float]:
        yield 1 / 0

    app = fastGraph(GRAPHS, settings=DEFAULTS, custom_lifespan=failing, app=FastAPI(lifespan=noting(events, "app")))
    with pytest.raises(ZeroDivisionError):
        async with started(app):
            pass
    assert events == []


# An app that exists already.


async def test_routes_middleware_and_lifespan_of_an_app_keep_working() -> None:
    events: list[str] = []
    app = FastAPI(lifespan=noting(events, "app"))
    app.add_api_route("/hello", hello)

    @app.middleware("http")
    async def signed(request: Request, call_next: Callable[[Request], Any]) -> Response:
        reply: Response = await call_next(request)
        reply.headers["signed"] = "yes"
        return reply

    assert fastGraph(GRAPHS, settings=DEFAULTS, app=app) is app
    async with started(app) as client:
        assert events == ["app starts"]
        theirs, ours = await client.get("/hello"), await client.get("/ok")
        assert (theirs.json(), theirs.headers["signed"]) == ("hello", "yes")
        assert (ours.status_code, ours.headers["signed"]) == (200, "yes")
        assert await answer(client) == SHOUTED
        app.add_api_route("/late", hello)
        assert (await client.get("/late")).json() == "hello"
    assert events == ["app starts", "app stops"]


async def test_an_app_keeps_its_own_error_handlers() -> None:
    app = FastAPI()
    app.add_api_route("/hello", hello)

    @app.exception_handler(404)
    async def nothing_here(request: Request, error: Exception) -> Response:
        return PlainTextResponse("nothing here", 404)

    async with started(fastGraph(GRAPHS, settings=DEFAULTS, app=app)) as client:
        assert (await client.get("/nowhere")).text == "nothing here"
        missing = await client.get("/assistants/0193ab00-0000-7000-8000-000000000001")
        assert (missing.status_code, list(missing.json())) == (404, ["detail"])


async def test_an_app_starts_again_after_it_has_stopped() -> None:
    app = fastGraph(GRAPHS, settings=DEFAULTS)
    for _ in range(2):
        async with started(app) as client:
            assert await answer(client) == SHOUTED


def test_a_server_that_checks_who_asks_is_open_to_named_pages_alone() -> None:
    friend = "https://friend.example"
    assert allowed_origins(Settings(), guarded=False) == ["*"]
    assert allowed_origins(Settings(), guarded=True) == []
    assert allowed_origins(Settings(cors_origins=(friend,)), guarded=True) == [friend]
    assert allowed_origins(Settings(cors_origins=("*",)), guarded=True) == ["*"]
