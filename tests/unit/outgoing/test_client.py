"""The client against real servers on this machine, and names that lead wherever a test wants."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from fast_graph.model.errors import InvalidError
from fast_graph.outgoing.client import guarded_client
from fast_graph.outgoing.rules import UrlRules

HERE = UrlRules(loopback=True, ports=())


class Answering:
    """A server that keeps the heads of the requests it got."""

    def __init__(self, answer: str) -> None:
        self.port = 0
        self.heads: list[str] = []
        self._answer = answer

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self._answer.encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def answering(answer: str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") -> AsyncIterator[Answering]:
    server = Answering(answer)
    async with await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


class Names:
    """A resolver whose answers are given beforehand, one after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


async def test_a_name_at_an_allowed_address_is_asked_under_its_name() -> None:
    async with answering() as server, guarded_client(HERE, resolve=Names(["127.0.0.1"])) as client:
        answer = await client.get(f"http://hooks.example.com:{server.port}/path?a=b")
        assert answer.text == "ok"
        assert server.heads[0].startswith("GET /path?a=b HTTP/1.1\r\n")
        assert f"\r\nHost: hooks.example.com:{server.port}\r\n" in server.heads[0]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"],
    ],
)
async def test_a_name_at_a_forbidden_address_is_refused_whatever_else_it_is_at(addresses: list[str]) -> None:
    async with answering() as server, guarded_client(UrlRules(ports=()), resolve=Names(addresses)) as client:
        with pytest.raises(InvalidError) as refused:
            await client.get(f"http://hooks.example.com:{server.port}/")
        assert server.heads == []
        assert not any(address in str(refused.value) for address in addresses)


async def test_a_name_that_changes_between_looks_is_looked_up_once() -> None:
    """DNS rebinding: the address that was checked is the one that is used."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with answering() as server, guarded_client(HERE, resolve=names) as client:
        assert (await client.get(f"http://rebinding.example.com:{server.port}/")).text == "ok"
        assert names.asked == ["rebinding.example.com"]
        with pytest.raises(InvalidError):
            await client.get(f"http://rebinding.example.com:{server.port}/")
        assert len(server.heads) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_this_machine_is_not_asked_by_default(host: str) -> None:
    async with answering() as server, guarded_client(UrlRules(ports=())) as client:
        with pytest.raises(InvalidError):
            await client.get(f"http://{host}:{server.port}/")
        assert server.heads == []


async def test_a_redirect_is_not_followed_and_one_that_is_is_checked() -> None:
    there = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n"
    async with answering(there) as server, guarded_client(HERE, resolve=Names(["127.0.0.1"])) as client:
        url = f"http://hooks.example.com:{server.port}/"
        assert (await client.get(url)).status_code == 302
        with pytest.raises(InvalidError):
            await client.get(url, follow_redirects=True)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering() as server, answering() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with guarded_client(HERE, resolve=Names(["127.0.0.1"])) as client:
            await client.get(f"http://hooks.example.com:{server.port}/")
        assert (len(server.heads), len(proxy.heads)) == (1, 0)


async def test_a_name_without_an_address_is_a_connection_that_failed() -> None:
    async with guarded_client(UrlRules(), resolve=Names([])) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://nowhere.example.com/")
