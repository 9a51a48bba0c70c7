import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.apps import app_server
from tests.services.plugin import StartApp, StartNginx
from tests.services.processes import Bench, Server, StartError

TOY = "tests.integration.services.toy:app"


def who(url: str) -> int:
    """The process that answers there."""
    answer = httpx.get(f"{url}/who")
    assert answer.status_code == 200, answer.text
    return int(answer.json()["pid"])


@pytest.fixture(scope="module")
def apps(bench: Bench) -> Iterator[list[Server]]:
    with app_server(bench, TOY) as one, app_server(bench, TOY) as two, app_server(bench, TOY) as three:
        yield [one, two, three]


@pytest.fixture
def front(apps: list[Server], start_nginx: StartNginx) -> Server:
    return start_nginx(apps)


def test_an_app_that_is_asked_to_end_says_farewell(start_app: StartApp, tmp_path: Path) -> None:
    farewell = tmp_path / "farewell"
    app = start_app(TOY, {"FAREWELL": str(farewell)})
    app.ask_to_end()
    assert app.wait() in {0, -signal.SIGTERM}
    assert farewell.read_text() == "goodbye"


def test_a_killed_app_says_nothing_and_comes_back_at_its_address(start_app: StartApp, tmp_path: Path) -> None:
    farewell = tmp_path / "farewell"
    app = start_app(TOY, {"FAREWELL": str(farewell)})
    before = who(app.url)
    app.kill()
    app.start()
    assert who(app.url) == app.pid != before
    assert not farewell.exists()


def test_a_paused_app_answers_once_it_resumes(start_app: StartApp) -> None:
    app = start_app(TOY)
    app.pause()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{app.url}/who", timeout=0.1)
    app.resume()
    assert who(app.url) == app.pid


def test_an_app_that_cannot_start_shows_its_log(start_app: StartApp) -> None:
    with pytest.raises(StartError, match='Could not import module "nowhere"'):
        start_app("nowhere:app")


def test_nginx_takes_the_instances_in_turn(front: Server, apps: list[Server]) -> None:
    answers = [who(front.url) for _ in range(6)]
    assert set(answers[:3]) == {app.pid for app in apps}
    assert answers[3:] == answers[:3]


def test_nginx_passes_an_event_on_before_the_next_one_exists(front: Server, apps: list[Server]) -> None:
    with httpx.stream("GET", f"{front.url}/story") as story:
        events = (line for line in story.iter_lines() if line)
        assert next(events) == "data: once"
        for app in apps:
            httpx.get(f"{app.url}/end")
        assert list(events) == ["data: the end"]


def test_nginx_replaces_a_killed_instance_and_takes_it_back(front: Server, apps: list[Server]) -> None:
    lost, *others = apps
    lost.kill()
    assert {who(front.url) for _ in range(6)} == {app.pid for app in others}
    lost.start()
    assert {who(front.url) for _ in range(6)} == {app.pid for app in apps}


def test_a_stream_breaks_off_with_its_instance(front: Server, apps: list[Server]) -> None:
    with httpx.stream("GET", f"{front.url}/story") as story:
        lines = story.iter_lines()
        assert next(lines) == "data: once"
        for app in apps:
            app.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    for app in apps:
        app.start()
