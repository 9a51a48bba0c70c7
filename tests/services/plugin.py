"""The fixtures that give tests real services.

``FASTGRAPH_TEST_REDIS_URL`` and ``FASTGRAPH_TEST_POSTGRES_URL`` name servers to use instead of own ones. Programs that
a selected test needs and the machine lacks are installed before the first test; if that fails, none runs and the exit
code is 4. Nothing skips.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

import pytest

from tests.services.apps import app_server
from tests.services.nginx import nginx_server
from tests.services.postgres import postgres_server, scratch_database
from tests.services.processes import Bench, Server, open_bench
from tests.services.programs import NGINX, POSTGRES, REDIS, MissingProgramError, Program, provide
from tests.services.proxy import FaultProxy
from tests.services.redis import emptied, is_empty, redis_server

REDIS_URL = "FASTGRAPH_TEST_REDIS_URL"
POSTGRES_URL = "FASTGRAPH_TEST_POSTGRES_URL"

StartNginx = Callable[[Sequence[Server]], Server]
StartProxy = Callable[[int], FaultProxy]


class StartApp(Protocol):
    """Starts an instance of the app that ``module:name`` names; the options are uvicorn's."""

    def __call__(self, target: str, environment: Mapping[str, str] | None = None, *options: str) -> Server: ...


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Outside of every test, whose time is limited."""
    if session.config.option.collectonly:
        return
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    try:
        provide(programs_for(asked, os.environ))
    except MissingProgramError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


def programs_for(fixtures: set[str], environment: Mapping[str, str]) -> list[Program]:
    """What the fixtures run, in the order of their names."""
    needed = {"own_redis": REDIS, "own_postgres": POSTGRES, "start_nginx": NGINX}
    if REDIS_URL not in environment:
        needed["session_redis"] = REDIS
    if POSTGRES_URL not in environment:
        needed["session_postgres"] = POSTGRES
    return sorted({needed[name] for name in fixtures & needed.keys()}, key=lambda program: program.name)


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    with open_bench() as bench:
        yield bench


@pytest.fixture(scope="session")
def session_redis(request: pytest.FixtureRequest) -> Iterator[str]:
    """The Redis of all tests."""
    given = os.environ.get(REDIS_URL)
    if given:
        assert is_empty(given), f"{REDIS_URL} names a database that is in use; tests would empty it"
        yield given
    else:
        with redis_server(request.getfixturevalue("bench")) as server:
            yield server.url


@pytest.fixture(scope="session")
def session_postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """The PostgreSQL of all tests; its user may create databases."""
    given = os.environ.get(POSTGRES_URL)
    if given:
        yield given
    else:
        with postgres_server(request.getfixturevalue("bench")) as server:
            yield server.url


@pytest.fixture
def redis_url(session_redis: str) -> Iterator[str]:
    """An empty database."""
    with emptied(session_redis) as url:
        yield url


@pytest.fixture
def postgres_url(session_postgres: str) -> Iterator[str]:
    """An empty database."""
    with scratch_database(session_postgres) as url:
        yield url


@pytest.fixture
def own_redis(bench: Bench) -> Iterator[Server]:
    """A Redis of the test's own, to kill or pause."""
    with redis_server(bench) as server:
        yield server


@pytest.fixture
def own_postgres(bench: Bench) -> Iterator[Server]:
    """A PostgreSQL of the test's own, to kill or pause."""
    with postgres_server(bench) as server:
        yield server


@pytest.fixture
def start_app(bench: Bench) -> Iterator[StartApp]:
    with ExitStack() as stack:

        def start(target: str, environment: Mapping[str, str] | None = None, *options: str) -> Server:
            return stack.enter_context(app_server(bench, target, environment, *options))

        yield start


@pytest.fixture
def start_nginx(bench: Bench) -> Iterator[StartNginx]:
    """Starts nginx before instances of an app."""
    with ExitStack() as stack:
        yield lambda apps: stack.enter_context(nginx_server(bench, [app.port for app in apps]))


@pytest.fixture
def start_proxy() -> Iterator[StartProxy]:
    """Starts a proxy before a port."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(FaultProxy(port))
