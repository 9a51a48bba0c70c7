"""500 clients that never finish their request keep nobody else from being served: bare, and behind nginx."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.deployment.front import shipped_nginx
from tests.integration.test_limits import alone
from tests.services.processes import LOCAL, Bench, Server

CROWD = 500
HEAD = b"POST /runs HTTP/1.1\r\nhost: x\r\n"
BEGINNINGS = (b"", b"G", HEAD, HEAD + b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
"""How far they get: nowhere, into the first word, into the headers, into the body."""
WAIT = {"assistant_id": "tokens", "input": {"count": 2}}

pytestmark = pytest.mark.usefixtures("start_nginx")  # sees to it that there is one

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process has as many connections open as they have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(4096, before[1])), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def crowd(port: int) -> AsyncIterator[list[Connection]]:
    connections = [await asyncio.open_connection(LOCAL, port) for _ in range(CROWD)]
    for number, (_, writer) in enumerate(connections):
        writer.write(BEGINNINGS[number % len(BEGINNINGS)])
    try:
        yield connections
    finally:
        for _, writer in connections:
            writer.close()


async def assert_others_are_served(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        for _ in range(20):
            assert (await client.get("/ok")).status_code == 200
            assert (await client.post("/runs/wait", json=WAIT)).json() == {"log": ["said", "done"], "count": 2}


@pytest.fixture(scope="module")
def bare(bench: Bench) -> Iterator[Server]:
    """A server without a proxy, which is less patient than by default."""
    with alone(bench, request_timeout=3, max_header_bytes=10_000) as server:
        yield server


@pytest.mark.usefixtures("many_files")
async def test_a_bare_server_closes_slow_connections_and_serves_others(bare: Server) -> None:
    async with crowd(bare.port) as connections:
        await assert_others_are_served(bare.url)
        said = await asyncio.gather(*(reader.read() for reader, _ in connections))
    assert {text.partition(b"\r\n")[0] for text in said} == {b"", b"HTTP/1.1 408 Request Timeout"}
    assert sum(text == b"" for text in said) == CROWD // len(BEGINNINGS)
    assert all(b'{"detail":"The request did not arrive' in text for text in said if text)
    await assert_others_are_served(bare.url)


@pytest.mark.usefixtures("many_files")
async def test_behind_nginx_they_keep_nobody_from_being_served(bench: Bench, bare: Server) -> None:
    with shipped_nginx(bench, [bare, bare, bare]) as nginx:
        async with crowd(nginx.port):
            await assert_others_are_served(nginx.url)


async def test_a_request_may_arrive_byte_by_byte(bare: Server) -> None:
    reader, writer = await asyncio.open_connection(LOCAL, bare.port)
    for byte in b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n" * 2:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    said = b""
    while said.count(b'{"ok":true') < 2:
        said += await reader.read(1000)
    writer.close()


async def test_an_answer_may_take_longer_than_a_request(bare: Server) -> None:
    body = {"assistant_id": "forever", "input": {}, "on_disconnect": "cancel"}
    client = httpx.AsyncClient(base_url=bare.url, timeout=20)
    async with client, client.stream("POST", "/runs/stream", json=body) as stream:
        async for line in stream.aiter_lines():
            if line == ": heartbeat":  # which comes after five seconds
                break
        assert line == ": heartbeat"


@pytest.mark.parametrize("chunk", [5_000, 1_000_000])
async def test_too_many_headers_are_refused(bare: Server, chunk: int) -> None:
    reader, writer = await asyncio.open_connection(LOCAL, bare.port)
    head = b"GET /ok HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: 1\r\n" % number for number in range(1_200))
    for start in range(0, len(head), chunk):
        writer.write(head[start : start + chunk])
        await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_an_empty_line_keeps_no_connection_open(bare: Server) -> None:
    reader, writer = await asyncio.open_connection(LOCAL, bare.port)
    writer.write(b"GET /ok HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readuntil(b"}")
    writer.write(b"\r\n")
    await reader.read()  # which ends when the server closes it
    writer.close()
