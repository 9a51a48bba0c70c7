"""Clients that hang up, stop reading or ask for too much: the run, the thread and the server outlive them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from tests.engine.scripted import until
from tests.integration.serving import Site, process, serving, streamed

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


async def request(port: int, path: str, body: Mapping[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request, and leave the answer to be read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    content = orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    await writer.drain()
    return reader, writer


async def running(site: Site, thread: str) -> Mapping[str, Any]:
    """The thread's run, once its graph waits."""
    while True:
        runs = (await site.client.get(f"/threads/{thread}/runs?status=running")).json()
        state = (await site.client.get(f"/threads/{thread}/state")).json() if runs else {}
        if state.get("next") == ["forever"]:
            found: Mapping[str, Any] = runs[0]
            return found


FOREVER = {"assistant_id": "forever", "input": {}, "if_not_exists": "create"}


@pytest.mark.parametrize("way", ["stream", "wait"])
async def test_a_client_that_hangs_up_leaves_its_run_alone(site: Site, way: str) -> None:
    _, writer = await request(site.port, f"/threads/t/runs/{way}", FOREVER)
    run = await running(site, "t")
    writer.close()
    await site.healthy()
    assert (await site.client.get(f"/threads/t/runs/{run['run_id']}")).json()["status"] == "running"
    assert (await site.client.post(f"/threads/t/runs/{run['run_id']}/cancel?wait=true")).json() == {}
    assert (await site.client.get("/threads/t")).json()["status"] == "interrupted"


@pytest.mark.parametrize("way", ["stream", "wait"])
@pytest.mark.parametrize("abruptly", [True, False])
async def test_a_client_that_wants_it_so_takes_its_run_with_it(site: Site, way: str, abruptly: bool) -> None:
    _, writer = await request(site.port, f"/threads/t/runs/{way}", {**FOREVER, "on_disconnect": "cancel"})
    run = await running(site, "t")
    if abruptly:
        writer.transport.abort()
    else:
        writer.close()
    await site.client.get(f"/threads/t/runs/{run['run_id']}/join")
    assert (await site.client.get(f"/threads/t/runs/{run['run_id']}")).json()["status"] == "interrupted"
    assert (await site.client.get("/threads/t")).json()["status"] == "interrupted"
    await site.healthy()


@pytest.mark.parametrize("way", ["stream", "wait"])
async def test_a_stateless_run_goes_with_its_client_if_wanted(site: Site, way: str) -> None:
    _, writer = await request(site.port, f"/runs/{way}", {**FOREVER, "on_disconnect": "cancel"})
    await until(lambda: site.runtime.worker.running)
    writer.close()
    await site.until_idle()
    assert (await site.client.post("/threads/search", json={})).json() == []
    await site.healthy()


@pytest.mark.parametrize("way", ["stream", "join"])
async def test_one_who_joins_can_take_the_run_along(site: Site, way: str) -> None:
    await site.client.post("/threads/t/runs", json=FOREVER)
    run = await running(site, "t")
    path = f"/threads/t/runs/{run['run_id']}"
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"GET {path}/{way}?cancel_on_disconnect=true HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    await writer.drain()
    await site.client.get("/ok")
    writer.close()
    await site.client.get(f"{path}/join")
    assert (await site.client.get(path)).json()["status"] == "interrupted"


async def test_a_client_that_hangs_up_after_the_end_cancels_nothing(site: Site) -> None:
    body = {"assistant_id": "tokens", "input": {"count": 3}, "on_disconnect": "cancel", "if_not_exists": "create"}
    reader, writer = await request(site.port, "/threads/t/runs/stream", body)
    await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    [run] = (await site.client.get("/threads/t/runs")).json()
    assert run["status"] == "success"
    assert (await site.client.get("/threads/t")).json()["status"] == "idle"


async def test_a_client_that_hangs_up_before_it_has_asked_is_no_trouble(site: Site) -> None:
    for content in (
        b"",
        b"POST",
        b"POST /runs/wait HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"\x00" * 100,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(content)
        await writer.drain()
        writer.close()
    await site.healthy()


@pytest.mark.parametrize("how", ["returned", "nested", "written", "interrupt"])
async def test_a_value_that_cannot_be_sent_fails_its_run_and_no_other(site: Site, how: str) -> None:
    body = {
        "assistant_id": "unserialisable",
        "input": {"how": how},
        "stream_mode": ["values", "updates", "custom"],
        "if_not_exists": "create",
    }
    events = await streamed(site.client, "/threads/t/runs/stream", body)
    assert events[-1].name == "error"
    assert events[-1].data["error"] == "TypeError"
    [run] = (await site.client.get("/threads/t/runs")).json()
    assert run["status"] == "error"
    thread = await site.client.get("/threads/t")
    assert thread.json()["status"] == "error"
    assert (await site.client.get("/threads/t/state")).status_code == 200
    again = await site.client.post("/threads/t/runs/wait", json={"assistant_id": "tokens", "input": {"count": 1}})
    assert again.json()["log"][-2:] == ["said", "done"]
    await site.healthy()


@pytest.mark.parametrize("path", ["/runs", "/threads/t/runs"])
async def test_a_large_state_arrives_whole(site: Site, path: str) -> None:
    size = 20
    body = {"assistant_id": "large", "input": {"size": size}, "if_not_exists": "create"}
    waited = (await site.client.post(f"{path}/wait", json=body)).json()
    assert len(waited["value"]) == size * MEBIBYTE
    events = await streamed(site.client, f"{path}/stream", body)
    assert [event.name for event in events] == ["metadata", "values", "values"]
    assert events[-1].data == waited
    await site.healthy()


async def test_a_large_input_is_taken(site: Site) -> None:
    body = {"assistant_id": "process", "input": {"log": ["x" * 20 * MEBIBYTE]}}
    waited = (await site.client.post("/runs/wait", json=body)).json()
    assert len(waited["log"][0]) == 20 * MEBIBYTE


@pytest.mark.parametrize("flood", [50, 200])
async def test_a_reader_that_stops_reading_holds_up_nothing_but_itself(flood: int) -> None:
    """What fits into the log is read in the end; of more, the reader is told that some is lost."""
    async with process() as server:
        assert (await server.client.post("/runs/wait", json={"assistant_id": "process", "input": {}})).is_success
        before = server.rss()
        body = {
            "assistant_id": "flood",
            "input": {"size": flood},
            "stream_mode": "custom",
            "if_not_exists": "create",
            "stream_resumable": True,
        }
        reader, writer = await request(server.port, "/threads/t/runs/stream", body)
        await reader.readuntil(b"\r\n\r\n")
        [run] = (await server.client.get("/threads/t/runs")).json()
        waited = (await server.client.get(f"/threads/t/runs/{run['run_id']}/join")).json()
        assert waited["log"] == ["flooded"]
        assert server.rss() - before < 4 * 64 * MEBIBYTE
        rest = await read_to_the_end(reader)
        writer.close()
        if flood * MEBIBYTE < 64 * MEBIBYTE:
            assert rest.count(b"event: custom") == flood * 16
        else:
            assert rest.count(b"event: custom") < flood * 16
            assert b"StreamTruncatedError" in rest[-1000:]
        assert (await server.client.get("/ok")).is_success


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    """The rest of a chunked body, with its framing."""
    found = bytearray()
    while not found.endswith(b"\r\n0\r\n\r\n"):
        found += await reader.read(MEBIBYTE)
    return bytes(found)


@pytest.mark.slow
async def test_silence_is_broken_by_signs_of_life(site: Site) -> None:
    body = {"assistant_id": "slowly", "input": {"count": 6}}
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(site.client.post("/runs/wait", json=body))
        streaming = group.create_task(site.client.post("/runs/stream", json=body))
    assert waiting.result().content.startswith(b"\n{")
    assert waiting.result().json()["log"] == ["slept"]
    assert ": heartbeat\r\n\r\n" in streaming.result().text
