"""The runtime in an app of one's own, and its life: entered, left, and entered again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from fast_graph import Bounds, ConfigurationError, MemoryBackend, Runtime, Settings
from fast_graph.api.routing import EncodedSlashes
from fast_graph.backends.memory.backend import MemoryStores
from tests.unit.hosts import DEFAULTS, GRAPHS, PATIENCE, answer, client_of, started

SHOUTED = {"text": "HI"}


async def hello() -> str:
    return "hello"


def hosting(runtime: Runtime, prefix: str = "") -> FastAPI:
    """An app of one's own that has the server's routes."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime:
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/hello", hello)
    app.include_router(runtime.router, prefix=prefix)
    app.add_middleware(EncodedSlashes)
    return app


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(GRAPHS, settings=DEFAULTS)


@pytest.mark.parametrize("prefix", ["", "/graphs"])
async def test_an_app_that_includes_the_router_serves_the_graphs(runtime: Runtime, prefix: str) -> None:
    async with started(hosting(runtime, prefix)) as client:
        assert await answer(client, prefix) == SHOUTED
        assert (await client.get("/hello")).json() == "hello"
        missing = await client.get(f"{prefix}/threads/0193ab00-0000-7000-8000-000000000001")
        assert (missing.status_code, list(missing.json())) == (404, ["detail"])


async def test_every_router_has_all_routes(runtime: Runtime) -> None:
    assert runtime.router is not runtime.router
    assert len(runtime.router.routes) == len(runtime.router.routes) > 40


async def test_a_runtime_entered_twice_in_a_loop_executes_runs_both_times(runtime: Runtime) -> None:
    app = hosting(runtime)
    for _ in range(2):
        async with started(app) as client:
            assert await answer(client) == SHOUTED


def test_a_runtime_entered_in_two_loops_executes_runs_in_both(runtime: Runtime) -> None:
    app = hosting(runtime)

    async def once() -> object:
        async with asyncio.timeout(PATIENCE), started(app) as client:
            return await answer(client)

    assert [asyncio.run(once()) for _ in range(2)] == [SHOUTED, SHOUTED]


async def test_what_was_kept_is_there_when_the_runtime_is_entered_again(runtime: Runtime) -> None:
    app = hosting(runtime)
    async with started(app) as client:
        thread_id = (await client.post("/threads", json={})).json()["thread_id"]
    async with started(app) as client:
        assert (await client.get(f"/threads/{thread_id}")).json()["thread_id"] == thread_id
        assert len((await client.post("/assistants/search", json={})).json()) == len(GRAPHS)


async def test_nothing_of_a_runtime_is_left_running(runtime: Runtime) -> None:
    before = asyncio.all_tasks()
    async with runtime, client_of(hosting(runtime)) as client:
        await answer(client)
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before


async def test_a_body_that_fails_fails_and_stops_the_runtime(runtime: Runtime) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        async with runtime:
            raise ZeroDivisionError
    assert asyncio.all_tasks() == before


async def test_two_runtimes_share_nothing() -> None:
    one, two = Runtime(GRAPHS, settings=DEFAULTS), Runtime(GRAPHS, settings=DEFAULTS)
    async with started(hosting(one)) as here, started(hosting(two)) as there:
        await here.post("/threads", json={})
        assert len((await here.post("/threads/search", json={})).json()) == 1
        assert (await there.post("/threads/search", json={})).json() == []


def test_the_settings_bound_the_memory_backend() -> None:
    settings = Settings.model_construct(
        memory_max_threads=1,
        memory_max_pending_runs=2,
        memory_max_runs_per_thread=3,
        stream_max_bytes=4,
        stream_kept_max_bytes=5,
        stream_ttl=6,
    )
    stores = Runtime(GRAPHS, settings=settings).stores
    assert isinstance(stores, MemoryStores)
    assert stores.ledger.bounds == Bounds(
        threads=1, pending_runs=2, runs_per_thread=3, stream_bytes=4, kept_stream_bytes=5, stream_ttl=6
    )


def test_a_backend_that_is_given_is_used() -> None:
    backend = MemoryBackend(bounds=Bounds(threads=7))
    stores = Runtime(GRAPHS, backend=backend, settings=DEFAULTS).stores
    assert isinstance(stores, MemoryStores)
    assert stores.ledger.bounds.threads == 7


@pytest.mark.parametrize(("max_attempts", "wrong"), [({"none": 1}, "not served"), ({"shout": 0}, "once at least")])
def test_attempts_of_graphs_are_checked(max_attempts: dict[str, int], wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        Runtime({"shout": next(iter(GRAPHS.values()))}, settings=DEFAULTS, max_attempts=max_attempts)
