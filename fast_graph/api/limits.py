"""Limits at the door: how large a request may be, how often a caller may come, and how many answers they may hold open.

Each is pure ASGI, so that it holds for every route of an app, and is left out where its setting is ``none``.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fast_graph.api.errors import answer
from fast_graph.api.routing import caller_of
from fast_graph.model.errors import LimitError, TooLargeError
from fast_graph.storage.rates import Rates

HEALTH = frozenset({"/ok", "/health"})
"""What is always answered: whoever asks there decides whether this process lives."""

LASTING = re.compile(r"/(?:stream|stream/events|wait|join)$")
"""Paths whose answers take as long as a run. Cancelling is none of them: it makes room."""

LINGER = 5.0
"""Seconds that a refused body is still taken in: a client that cannot send the rest would never read the answer."""

POLICY_VIOLATION = 1008
"""How a WebSocket is closed that may not be opened."""


class BodyLimit:
    """Refuses bodies with more than so many bytes: by what they announce, or else as soon as more have arrived."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if announced is None or not announced.isdigit():
            counted = _CountedBody(receive, send, self._most)
            await self._app(scope, counted.receive, counted.send)
        elif int(announced) > self._most:
            await _too_large(self._most, receive, send)
        else:
            await self._app(scope, receive, send)


class _CountedBody:
    """A request whose body is counted as it comes. Once it is too large the app is told that the client has gone."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive = receive
        self._send = send
        self._most = most
        self._size = 0
        self._answering = False
        self._refused = False

    async def receive(self) -> Message:
        if self._refused:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size <= self._most:
            return message
        self._refused = True
        if not self._answering:
            await _too_large(self._most, self._receive, self._send)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self._answering = True
        if not self._refused:
            await self._send(message)


async def _too_large(most: int, receive: Receive, send: Send) -> None:
    response = answer(TooLargeError(f"The body is larger than {most} bytes, the most that is allowed"), "")
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})


class RateLimit:
    """Refuses callers who come too often."""

    def __init__(self, app: ASGIApp, *, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] not in HEALTH:
            wait = await self._rates.hit(caller_of(HTTPConnection(scope)).share)
            if wait:
                error = LimitError("Too many requests: wait as long as Retry-After says", retry_after=wait)
                await _refuse(error, scope, receive, send)
                return
        await self._app(scope, receive, send)


class OpenStreams:
    """Refuses callers who hold too many streams, waits and WebSockets open on this process."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _lasts(scope):
            await self._app(scope, receive, send)
            return
        share = caller_of(HTTPConnection(scope)).share
        if self._open[share] >= self._most:
            error = LimitError(f"You hold {self._most} streams open, and may hold no more: close one")
            await _refuse(error, scope, receive, send)
            return
        with self._place(share):
            await self._app(scope, receive, send)

    @contextmanager
    def _place(self, share: str) -> Iterator[None]:
        self._open[share] += 1
        try:
            yield
        finally:
            self._open[share] -= 1
            if not self._open[share]:
                del self._open[share]


def _lasts(scope: Scope) -> bool:
    """Whether the answer may take as long as a run does."""
    return scope["type"] == "websocket" or (scope["type"] == "http" and LASTING.search(scope["path"]) is not None)


async def _refuse(error: LimitError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": str(error)})
    else:
        await answer(error, scope["path"])(scope, receive, send)
