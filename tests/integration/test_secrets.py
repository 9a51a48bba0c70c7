"""Passwords, tokens and keys that the server is given or meets are neither logged nor told to anybody."""

import pickle
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import redis

from fast_graph import ConfigurationError, fastGraph
from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from tests.integration.secretive import secretive
from tests.integration.serving import serving, settings
from tests.services.processes import Server, free_port

SECRET = "Rumpelstiltskin"
KEY = b64encode(SECRET.encode().ljust(32, b"!")).decode()
PLANTED = (SECRET, KEY, b64encode(SECRET.encode()).decode()[:-4])
HEADERS = {"authorization": f"Bearer {SECRET}", "x-api-key": SECRET, "cookie": f"session={SECRET}"}
GRAPHS = {"secretive": secretive()}


def expect_clean(text: str) -> None:
    assert [one for one in PLANTED if one in text] == []


def demand_password(server: Server) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", SECRET)


async def test_a_whole_life_logs_no_secret_and_tells_none(
    own_postgres: Server, own_redis: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    demand_password(own_redis)
    places = {
        "postgres_url": own_postgres.url.replace("postgres@", f"postgres:{SECRET}@"),
        "redis_url": own_redis.url.replace("://", f"://:{SECRET}@"),
        "encryption_keys": [KEY],
    }
    expect_clean(repr(settings(**places)))
    async with serving(GRAPHS, **places) as site:
        run = {"assistant_id": "secretive", "input": {"text": SECRET}, "if_not_exists": "create"}
        await site.client.post("/threads/one/runs/wait", json=run, headers=HEADERS)
        for path, body in (
            ("/threads/search", {"limit": -1}),
            ("/runs/wait", {"assistant_id": "nobody", "input": SECRET, "context": {"key": SECRET}}),
            ("/threads/one/state", {"values": 5, "config": SECRET}),
            ("/runs/wait", {**run, "webhook": f"https://user:{SECRET}@example.com/"}),
        ):
            refused = await site.client.post(path, json=body, headers=HEADERS)
            assert 400 <= refused.status_code < 500
            expect_clean(refused.text)
        for path in ("/openapi.json", "/info", "/health", "/docs", "/ok"):
            expect_clean((await site.client.get(path, headers=HEADERS)).text)
        own_redis.kill()
        lost = await site.client.get("/health")
        assert lost.status_code == 503
        expect_clean(lost.text)
        own_redis.start()
        demand_password(own_redis)
    expect_clean(caplog.text)
    expect_clean("".join(capfd.readouterr()))


@pytest.mark.parametrize(
    "url", ["postgresql://me:{}@127.0.0.1:{}/graphs", "postgresql://me:{}@[::1/x{}", "mysql://{}@{}"]
)
async def test_a_server_that_cannot_start_does_not_tell_why_with_secrets(url: str) -> None:
    places = {
        "postgres_url": url.format(SECRET, free_port()),
        "redis_url": f"redis://:{SECRET}@127.0.0.1:{free_port()}",
    }
    with pytest.raises((ConfigurationError, ValueError)) as refused:
        async with serving_app(places):
            pass
    expect_clean(str(refused.value))


def serving_app(places: dict[str, Any]) -> Any:
    app = fastGraph(GRAPHS, settings=settings(**places))
    return app.router.lifespan_context(app)


class Hostile:
    """Unpickled, it leaves a file."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._trace,)


def test_checkpoints_are_never_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with pytest.raises(NotImplementedError):
        MemoryCheckpointer().serde.loads_typed(("pickle", pickle.dumps(Hostile(trace))))
    assert not trace.exists()


async def test_what_looks_like_an_object_of_python_stays_json(tmp_path: Path) -> None:
    """LangChain's notation for objects is not obeyed when a client writes it, nor when it is read again."""
    notation = {"lc": 2, "type": "constructor", "id": ["pathlib", "Path"], "args": [str(tmp_path)], "kwargs": {}}
    async with serving(GRAPHS, sqlite_path=tmp_path / "graphs.db") as site:
        body = {"assistant_id": "secretive", "input": {"text": "hello", "nested": notation}, "if_not_exists": "create"}
        await site.client.post("/threads/one/runs/wait", json={**body, "interrupt_before": ["tell"]})
        state = (await site.client.get("/threads/one/state")).json()
        assert state["values"]["nested"] == notation
