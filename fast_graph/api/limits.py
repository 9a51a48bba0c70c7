"""Limits at the door: how large a request may be, how often a caller may come, and how many answers they may hold open.

Each is pure ASGI, so that it holds for every route of an app, and is left out where its setting is ``none``.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fast_graph.api.errors import answer
from fast_graph.api.routing import ADMISSIONS, caller_of
from fast_graph.auth.policy import Caller
from fast_graph.model.errors import LimitError, TooLargeError
from fast_graph.storage.rates import Rates

Admit = Callable[[Caller], Awaitable[None]]
"""Raises LimitError if there is no room for the caller's request."""

HEALTH = frozenset({"/ok", "/health"})
"""What is always answered: whoever asks there decides whether this process lives."""

DOORS = re.compile(r"/(?:assistants|runs|store|threads)(?:/|$)")
"""Paths whose routes find out who asks, where anybody does."""

LASTING = re.compile(r"/(?:stream|stream/events|wait|join)$")
"""Paths whose answers take as long as a run. Cancelling is none of them: it makes room."""

MOST_DIGITS = 18
"""No body is so large that more are needed to say how large it is."""

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
        elif len(announced) > MOST_DIGITS or int(announced) > self._most:
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
    """Refuses callers who come too often. ``guarded`` is whether the routes find out who they are."""

    def __init__(self, app: ASGIApp, *, rates: Rates, guarded: bool) -> None:
        self._app = app
        self._rates = rates
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] not in HEALTH:
            await _admitted(self._app, self._count, scope, receive, send, guarded=self._guarded)
        else:
            await self._app(scope, receive, send)

    async def _count(self, caller: Caller) -> None:
        wait = await self._rates.hit(caller.share)
        if wait:
            raise LimitError("Too many requests: wait as long as Retry-After says", retry_after=wait)


class OpenStreams:
    """Refuses callers who hold too many streams, waits and WebSockets open on this process. ``guarded`` as above."""

    def __init__(self, app: ASGIApp, *, most: int, guarded: bool) -> None:
        self._app = app
        self._most = most
        self._guarded = guarded
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _lasts(scope):
            await self._app(scope, receive, send)
            return
        with ExitStack() as places:

            async def take(caller: Caller) -> None:
                places.enter_context(self._place(caller.share))

            await _admitted(self._app, take, scope, receive, send, guarded=self._guarded)

    @contextmanager
    def _place(self, share: str) -> Iterator[None]:
        if self._open[share] >= self._most:
            raise LimitError(f"You hold {self._most} streams open, and may hold no more: close one")
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


async def _admitted(app: ASGIApp, admit: Admit, scope: Scope, receive: Receive, send: Send, *, guarded: bool) -> None:
    """Pass a request on if ``admit`` does not raise: asked here, or by its route once that knows who sends it."""
    if guarded and scope["type"] == "http" and DOORS.match(scope["path"]):
        await app({**scope, ADMISSIONS: (*scope.get(ADMISSIONS, ()), admit)}, receive, send)
        return
    try:
        await admit(caller_of(HTTPConnection(scope)))
    except LimitError as error:
        await _refuse(error, scope, receive, send)
        return
    await app(scope, receive, send)


async def _refuse(error: LimitError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": str(error)})
    else:
        await answer(error, scope["path"])(scope, receive, send)
