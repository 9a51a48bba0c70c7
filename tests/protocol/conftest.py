from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from fast_graph import fastGraph
from tests.protocol.doors import Door, Doors
from tests.protocol.graphs import protocol_graphs
from tests.protocol.keeping import Installation, in_memory, in_memory_is_asked_for, in_postgres_and_redis
from tests.protocol.serving import PATIENCE, in_process, served


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(*requirements): the entries of requirements.py that the test shows")


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    if in_memory_is_asked_for():
        yield in_memory
        return
    services = [request.getfixturevalue(name) for name in ("session_postgres", "session_redis")]
    with in_postgres_and_redis(*services) as installation:
        yield installation


@pytest.fixture(scope="module")
def doors() -> Doors:
    return Doors()


@pytest.fixture
def door(doors: Doors) -> Iterator[Door]:
    """A closed door; open in the end, so that no run waits for ever."""
    door = doors.new()
    yield door
    door.open()


# Without a network: a server of the test's own. Answers arrive in one piece.


@pytest.fixture
async def http(doors: Doors, installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    with installation() as settings:
        async with in_process(fastGraph(protocol_graphs(doors), settings=settings)) as client:
            yield client


@pytest.fixture
def client(http: httpx.AsyncClient) -> LangGraphClient:
    return LangGraphClient(http)


# On a port: one server for all tests of a module.


@pytest.fixture(scope="module")
def address(doors: Doors, installation: Installation) -> Iterator[str]:
    with installation() as settings, served(fastGraph(protocol_graphs(doors), settings=settings)) as address:
        yield address


@pytest.fixture
async def web(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
async def remote(address: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=address) as client:
        yield client


@pytest.fixture
def sync_remote(address: str) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=address) as client:
        yield client
