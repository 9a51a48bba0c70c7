"""What the shipped nginx.conf promises, from a real nginx with that file."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.deployment.front import SHIPPED, options, shipped_nginx
from tests.services.apps import app_server
from tests.services.processes import Bench, Server
from tests.services.programs import NGINX, find

TINY = "tests.deployment.tiny:app"
THREADS = [f"thread-{number}" for number in range(30)]


pytestmark = pytest.mark.usefixtures("start_nginx")  # sees to it that there is one


@dataclass(frozen=True)
class Site:
    """nginx and what stands behind it."""

    instances: list[Server]
    client: httpx.Client
    """Of nginx."""
    notes: Path
    """Where the instances write down what they were asked for."""


@contextmanager
def standing(bench: Bench) -> Iterator[Site]:
    notes = bench.place("notes") / "notes"
    notes.touch()
    one, two, three = (app_server(bench, TINY, {"NOTES": str(notes)}) for _ in range(3))
    with one, two, three, shipped_nginx(bench, [one, two, three]) as nginx, httpx.Client(base_url=nginx.url) as client:
        yield Site([one, two, three], client, notes)


@pytest.fixture(scope="module")
def site(bench: Bench) -> Iterator[Site]:
    with standing(bench) as site:
        yield site


@pytest.fixture
def front(site: Site) -> httpx.Client:
    return site.client


@pytest.fixture
def own_site(bench: Bench) -> Iterator[Site]:
    """For one test, which may kill what it likes."""
    with standing(bench) as site:
        yield site


def told(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def who(front: httpx.Client, path: str) -> int:
    """The process that answers there."""
    return int(told(front.get(path))["pid"])


def homes(front: httpx.Client) -> dict[str, int]:
    """Which process answers for which thread."""
    return {thread: who(front, f"/threads/{thread}/state") for thread in THREADS}


# The file.


def test_nginx_takes_the_file_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTGRAPH_TEST_APT", "0")  # what the system has may be too old to look names up again
    place = bench.place("nginx")
    command = [find(NGINX), "-t", *options(place, SHIPPED), "-g", f"pid {place}/pid;"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


# Where requests go.


def test_what_concerns_a_thread_goes_to_one_instance(site: Site, front: httpx.Client) -> None:
    found = homes(front)
    assert set(found.values()) == {instance.pid for instance in site.instances}
    assert homes(front) == found
    for thread in THREADS[:5]:
        for path in (f"/threads/{thread}", f"/threads/{thread}?a=b", f"/threads/{thread}/runs/1/join"):
            assert who(front, path) == found[thread]


@pytest.mark.parametrize("path", ["/api/tasks/{}", "/api/tasks/{}/cancel", "/api/tasks?task_id={}", "/?task_id={}"])
def test_what_concerns_a_task_goes_to_one_instance(front: httpx.Client, path: str) -> None:
    assert len({who(front, path.format("one")) for _ in range(6)}) == 1
    assert len({who(front, path.format(number)) for number in range(30)}) == 3


@pytest.mark.parametrize("path", ["/runs", "/threads", "/threads/search", "/threads/count?a=b", "/assistants/chat"])
def test_what_concerns_neither_goes_to_all(front: httpx.Client, path: str) -> None:
    assert len({who(front, path) for _ in range(60)}) == 3


def test_a_thread_whose_name_begins_like_a_route_is_a_thread(front: httpx.Client) -> None:
    assert len({who(front, "/threads/search-party/state") for _ in range(12)}) == 1


@pytest.mark.parametrize("path", ["/ok", "/health"])
def test_the_health_of_the_instances_can_be_asked_for(front: httpx.Client, path: str) -> None:
    assert who(front, path)


# When instances fail.


def test_the_threads_of_a_killed_instance_move_and_no_others(own_site: Site) -> None:
    before, lost = homes(own_site.client), own_site.instances[0].pid
    own_site.instances[0].kill()
    after = homes(own_site.client)
    assert lost not in after.values()
    assert all(after[thread] == home for thread, home in before.items() if home != lost)


def test_a_request_that_finds_nobody_is_answered_by_another(own_site: Site) -> None:
    one, two, three = own_site.instances
    one.kill()
    two.kill()
    answers = [told(own_site.client.post(f"/threads/{thread}/runs", content=b"12345")) for thread in THREADS]
    assert {(answer["pid"], answer["size"]) for answer in answers} == {(three.pid, 5)}


def test_a_post_that_has_arrived_is_not_repeated(own_site: Site) -> None:
    assert own_site.client.post("/threads/one/die").status_code == 502
    assert own_site.notes.read_text().count("died") == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_instance_that_says_it_is_unavailable_is_believed(site: Site, front: httpx.Client, method: str) -> None:
    site.notes.write_text("")
    for _ in range(3):
        answer = front.request(method, "/threads/one/refuse")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    refusals = site.notes.read_text().splitlines()
    assert (len(refusals), len(set(refusals))) == (3, 1)


# What passes.


def test_an_event_passes_before_the_next_one_exists(site: Site, front: httpx.Client) -> None:
    with front.stream("GET", "/threads/one/story") as story:
        assert story.http_version == "HTTP/1.1"
        events = (line for line in story.iter_lines() if line)
        assert next(events) == "data: once"
        for instance in site.instances:
            httpx.get(f"{instance.url}/end")
        assert list(events) == ["data: the end"]


def test_a_websocket_passes_and_meets_its_task(front: httpx.Client) -> None:
    url = str(front.base_url.copy_with(scheme="ws", path="/ws/tasks/one"))
    with connect(url) as socket:
        assert json.loads(socket.recv())["pid"] == who(front, "/api/tasks/one")
        for text in ("hello", "again"):
            socket.send(text)
            assert socket.recv() == text


def test_an_input_may_be_large(front: httpx.Client) -> None:
    size = 8 * 1024 * 1024
    assert told(front.post("/threads/one/runs", content=bytes(size)))["size"] == size


def test_an_instance_learns_who_asks_and_for_what(front: httpx.Client) -> None:
    lies = {"x-forwarded-for": "9.9.9.9", "x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    headers = told(front.get("/ok", headers=lies))["headers"]
    host = front.base_url.netloc.decode()
    assert headers["host"] == headers["x-forwarded-host"] == host
    assert (headers["x-forwarded-for"], headers["x-real-ip"]) == ("127.0.0.1", "127.0.0.1")
    assert headers["x-forwarded-proto"] == "http"
    assert headers["connection"] == "close"
