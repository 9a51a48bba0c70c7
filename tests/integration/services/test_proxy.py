import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import redis

from tests.services.plugin import StartProxy
from tests.services.processes import LOCAL, free_port
from tests.services.proxy import FaultProxy

MEBIBYTE = 1024 * 1024
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a service that sends back what it gets, and hangs up at the end of a line."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await reader.read(100)) and not data.endswith(b"\n"):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(repeat, LOCAL, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def proxy(echo: int, start_proxy: StartProxy) -> FaultProxy:
    return start_proxy(echo)


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(LOCAL, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echoes(connection: Connection) -> bool:
    reader, writer = connection
    writer.write(b"hello")
    return await reader.readexactly(5) == b"hello"


async def broken(connection: Connection) -> bool:
    try:
        return await connection[0].read() == b""
    except ConnectionResetError:
        return True


async def test_the_proxy_passes_everything_on(proxy: FaultProxy) -> None:
    async with connected(proxy) as one, connected(proxy) as other:
        assert await echoes(one)
        assert await echoes(other)
        assert await echoes(one)


async def test_a_cut_breaks_what_is_open_and_nothing_else(proxy: FaultProxy) -> None:
    async with connected(proxy) as before:
        assert await echoes(before)
        proxy.cut()
        assert await broken(before)
    async with connected(proxy) as after:
        assert await echoes(after)


async def test_nothing_listens_while_the_proxy_refuses(proxy: FaultProxy) -> None:
    async with connected(proxy) as before:
        assert await echoes(before)
        with proxy.refusing():
            assert await broken(before)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(LOCAL, proxy.port)
    async with connected(proxy) as after:
        assert await echoes(after)


async def test_a_delay_counts_in_both_directions(proxy: FaultProxy) -> None:
    async with connected(proxy) as connection:
        assert await echoes(connection)
        with proxy.delaying(0.05):
            began = time.monotonic()
            assert await echoes(connection)
            assert time.monotonic() - began >= 0.1


async def test_nothing_passes_while_the_proxy_hangs_and_nothing_is_lost(proxy: FaultProxy) -> None:
    async with connected(proxy) as (reader, writer):
        with proxy.hanging():
            writer.write(b"hello")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
        assert await reader.readexactly(5) == b"hello"


async def test_the_client_learns_that_the_service_hung_up(proxy: FaultProxy) -> None:
    async with connected(proxy) as (reader, writer):
        writer.write(b"goodbye\n")
        assert await reader.read() == b""


async def test_an_answer_arrives_whole_though_the_client_has_said_its_last_word(start_proxy: StartProxy) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(bytes(MEBIBYTE))
        writer.close()

    server = await asyncio.start_server(answer, LOCAL, 0)
    proxy = start_proxy(server.sockets[0].getsockname()[1])
    async with server, connected(proxy) as (reader, writer):
        writer.write_eof()
        assert len(await reader.read()) == MEBIBYTE


async def test_the_client_learns_that_there_is_no_service(start_proxy: StartProxy) -> None:
    async with connected(start_proxy(free_port())) as connection:
        assert await broken(connection)


async def test_the_proxy_works_while_a_test_blocks_its_loop(redis_url: str, start_proxy: StartProxy) -> None:
    port = urlsplit(redis_url).port
    assert port is not None
    with redis.Redis(port=start_proxy(port).port) as client:
        assert client.ping()
