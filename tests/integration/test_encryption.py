"""With keys, nothing that passes through the server can be found in the files of what stands behind it."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from fast_graph import ConfigurationError, MemoryBackend, fastGraph
from tests.integration.secretive import secretive
from tests.integration.serving import Site, serving, settings, streamed
from tests.services.processes import Server

SECRET = "Rumpelstiltskin"
OLD, NEW, OTHER = (b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
GRAPHS = {"secretive": secretive()}
RUN = {
    "assistant_id": "secretive",
    "input": {"text": SECRET},
    "config": {"configurable": {"customer": SECRET, "thread_ts": SECRET}},
    "if_not_exists": "create",
    "stream_resumable": True,
    "stream_mode": ["values", "updates", "custom", "debug", "messages"],
}


async def live(site: Site, thread_id: str) -> None:
    """A life that leaves the secret wherever anything is kept."""
    events = await streamed(site.client, f"/threads/{thread_id}/runs/stream", RUN)
    assert SECRET in str(events)
    context: Mapping[str, Any] = {"assistant_id": "secretive", "context": {"key": SECRET}}
    answer = {"command": {"resume": f"fail {SECRET}"}}
    await site.client.post(f"/threads/{thread_id}/runs/wait", json={**context, **answer})
    failed = (await site.client.get(f"/threads/{thread_id}")).json()
    assert failed["status"] == "error"
    await site.client.post(f"/threads/{thread_id}/state", json={"values": {"answer": SECRET}, "as_node": "fail"})
    await site.client.put("/store/items", json={"namespace": ["a"], "key": "b", "value": {"note": [SECRET]}})
    await site.client.post(f"/threads/{thread_id}/runs/wait", json={**RUN, "multitask_strategy": "rollback"})
    await site.client.post(f"/threads/{thread_id}/copy")
    await site.client.post("/runs/wait", json={**RUN, "if_not_exists": "reject"})
    delayed = {**RUN, "after_seconds": 1000, "input": {"text": SECRET}}
    assert (await site.client.post("/threads/waiting/runs", json=delayed)).status_code == 200


async def read(site: Site, thread_id: str) -> None:
    """Everything is shown as it was."""
    thread = (await site.client.get(f"/threads/{thread_id}")).json()
    state = (await site.client.get(f"/threads/{thread_id}/state")).json()
    history = (await site.client.get(f"/threads/{thread_id}/history?limit=100")).json()
    item = (await site.client.get("/store/items", params={"namespace": "a", "key": "b"})).json()
    [run, *_] = (await site.client.get(f"/threads/{thread_id}/runs")).json()
    assert thread["values"]["text"] == SECRET
    assert [one["value"] for found in thread["interrupts"].values() for one in found] == [{"question": SECRET}]
    assert state["values"]["text"] == SECRET
    assert {SECRET} <= {entry["values"].get("answer") for entry in history}
    assert item["value"] == {"note": [SECRET]}
    assert run["kwargs"]["input"] == {"text": SECRET}


def finds(files: Iterable[Path]) -> list[str]:
    """The files in which the secret can be read, as it is or in base64."""
    looks = [SECRET.encode(), *(b64encode(SECRET.encode()[start:])[:-4] for start in range(3))]
    return [path.name for path in files if path.is_file() and any(look in path.read_bytes() for look in looks)]


async def test_nothing_is_found_in_a_sqlite_file(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    async with serving(GRAPHS, sqlite_path=folder / "graphs.db", encryption_keys=[OLD]) as site:
        await live(site, "one")
        await read(site, "one")
        assert finds(folder.iterdir()) == []
    assert finds(folder.iterdir()) == []
    async with serving(GRAPHS, sqlite_path=tmp_path / "plain.db") as site:
        await live(site, "one")
        assert finds([tmp_path / "plain.db", tmp_path / "plain.db-wal"]), "the search finds what is there"


async def test_nothing_is_found_in_the_files_of_postgresql_and_redis(own_postgres: Server, own_redis: Server) -> None:
    keys = {"postgres_url": own_postgres.url, "redis_url": own_redis.url, "encryption_keys": [OLD]}
    with redis.Redis.from_url(own_redis.url) as client:
        async with serving(GRAPHS, **keys) as site:
            await live(site, "one")
            await read(site, "one")
            assert client.dbsize(), "streams are kept for those who come back"
            client.config_set("rdbcompression", "no")
            client.save()
            assert finds(own_redis.place.rglob("*")) == [], "nor is it in memory, which was just written down"
        client.set("control", SECRET)
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        assert finds(own_postgres.place.rglob("*")) == []
        connection.execute(f"CREATE TABLE control AS SELECT '{SECRET}' AS text")
        connection.execute("CHECKPOINT")
        assert finds(own_postgres.place.rglob("*")), "the search finds what is there"
    assert [name for name in finds(own_redis.place.rglob("*")) if name.endswith(".aof")], (
        "the search finds what is there"
    )


async def test_new_keys_take_over_and_old_threads_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "graphs.db"
    async with serving(GRAPHS, sqlite_path=path) as site:
        await live(site, "plain")
    async with serving(GRAPHS, sqlite_path=path, encryption_keys=[OLD]) as site:
        await read(site, "plain")
        await live(site, "old")
    async with serving(GRAPHS, sqlite_path=path, encryption_keys=[NEW, OLD]) as site:
        await read(site, "plain")
        await read(site, "old")
        await live(site, "new")
    async with serving(GRAPHS, sqlite_path=path, encryption_keys=[NEW]) as site:
        await read(site, "new")
        answer = await site.client.get("/threads/old")
        assert answer.status_code == 500
        assert "not among FAST_GRAPH_ENCRYPTION_KEYS" in answer.json()["detail"]
        assert SECRET not in answer.text


@pytest.mark.parametrize(("keys", "says"), [([OTHER], "not among"), ([], "set FAST_GRAPH_ENCRYPTION_KEYS")])
async def test_a_server_without_the_right_key_does_not_start(tmp_path: Path, keys: list[str], says: str) -> None:
    path = tmp_path / "graphs.db"
    for right in ([OLD], [NEW, OLD]):
        async with serving(GRAPHS, sqlite_path=path, encryption_keys=right):
            pass
    app = fastGraph(GRAPHS, settings=settings(sqlite_path=path, encryption_keys=keys))
    with pytest.raises(ConfigurationError, match=says):
        async with app.router.lifespan_context(app):
            pass


async def test_searching_by_what_is_encrypted_is_refused() -> None:
    async with serving(GRAPHS, encryption_keys=[OLD]) as site:
        for path, body in (
            ("/threads/search", {"values": {"text": SECRET}}),
            ("/threads/count", {"values": {"text": SECRET}}),
            ("/store/items/search", {"filter": {"text": SECRET}}),
        ):
            answer = await site.client.post(path, json=body)
            assert (answer.status_code, "encrypted" in answer.json()["detail"]) == (422, True)
        assert (await site.client.post("/threads/search", json={"metadata": {"a": 1}})).json() == []


def test_a_key_that_is_none_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        fastGraph(GRAPHS, backend=MemoryBackend(), settings=settings(encryption_keys=["Rumpelstiltskin"]))
    assert "openssl rand" in str(refused.value)
    assert SECRET not in str(refused.value)
