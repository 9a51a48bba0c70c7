"""An HTTP client for URLs that others chose: it connects to nothing but the addresses it has checked."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

import httpx

from fast_graph.model.errors import InvalidError
from fast_graph.outgoing.rules import DEFAULT_PORTS, UrlRules

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError if there are none."""

TIMEOUT = 10.0
"""Seconds that a connection, or a silence within an answer, may take."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class GuardedTransport(httpx.AsyncBaseTransport):
    """Looks the host up once, checks every address, and connects to one that passed: no second look can differ.

    Each request, and each hop of redirects that a client follows, is checked. Raises InvalidError for what the rules
    refuse, which tells nothing of what was found.
    """

    def __init__(self, rules: UrlRules, *, resolve: Resolve = resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        # Connections are known by their address, and are not to be used for another host there.
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        self._rules.check_parsed(url)
        host = url.raw_host.decode("ascii")
        address = await self._checked(host.strip("[]"), url.port or DEFAULT_PORTS[url.scheme])
        sent = httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,  # the host among them is the one that was asked for
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._transport.handle_async_request(sent)

    async def _checked(self, host: str, port: int) -> str:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(f"The host {host} has no address") from error
        if not found:
            raise httpx.ConnectError(f"The host {host} has no address")
        if not all(self._rules.allows(ip_address(address)) for address in found):
            raise InvalidError(f"The host {host} is not at an address that may be asked")
        return found[0]

    async def aclose(self) -> None:
        await self._transport.aclose()


def guarded_client(rules: UrlRules, *, resolve: Resolve = resolve) -> httpx.AsyncClient:
    """A client that follows no redirects and knows no proxies; enter it to use it."""
    transport = GuardedTransport(rules, resolve=resolve)
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False)
