"""How requests reach the handlers: JSON by orjson, and ids that contain slashes."""

import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from json import JSONDecodeError
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import orjson
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from fast_graph.api.errors import PROBLEMS, answer
from fast_graph.auth.policy import ANONYMOUS, Caller
from fast_graph.model.errors import InvalidError
from fast_graph.services.assistants import is_uuid

MOST_LEVELS = 200
"""How deep the values in a body may be nested."""

ORJSON_LEVELS = 254
"""How deep orjson writes."""

LONG = re.compile(rb"\d{19}")
"""What a number has that may be too large for an integer, which orjson reads as a float near it."""

SLASH = "\ue000"
"""Stands for an encoded slash while a path is matched. Not printable, so no id contains it."""

CALLER = "fast_graph.caller"
"""Where a request's scope has who sends it."""

Guard = Callable[[Request], Awaitable[Caller]]
"""Finds out who sends a request. Raises what the door shows as 401, or an error with a status of its own."""


ADMISSIONS = "fast_graph.admissions"
"""The key of a scope under which middleware leaves what is to be asked once it is known who sends the request."""


class JsonRequest(Request):
    """A request whose body is parsed strictly: no NaN, no lone surrogates, no bottomless nesting, no huge integers."""

    async def json(self) -> Any:
        body = await self.body()
        value = orjson.loads(body)
        if LONG.search(body):
            _check_integers(body)
        if body.count(b"[") + body.count(b"{") > MOST_LEVELS:
            _check_depth(value)
        return value


def _check_integers(body: bytes) -> None:
    """Raises JSONDecodeError for an integer that would be kept as another number."""
    try:
        json.loads(body, parse_int=_within_64_bits)
    except RecursionError as error:
        raise JSONDecodeError(f"Nested more than {MOST_LEVELS} levels deep", "", 0) from error


def _within_64_bits(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise JSONDecodeError("An integer has more than 64 bits", "", 0)
    return int(digits)


def _check_depth(value: Any) -> None:
    """Raises JSONDecodeError for what could not be written again, with our own levels around it."""
    for _ in range(ORJSON_LEVELS - MOST_LEVELS):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise JSONDecodeError(f"Nested more than {MOST_LEVELS} levels deep", "", 0) from error


class Route(APIRoute):
    """A route that answers its own errors, so that it does so in any app it is mounted in."""

    guard: ClassVar[Guard | None] = None
    """Finds out who sends a request. Of the class, since a router that includes this one makes its routes anew."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                read = JsonRequest(_as_json(request.scope), request.receive)
                await self._identify(read)
                return await handle(read)
            except HTTPException:
                raise
            except Exception as error:  # noqa: BLE001 - the client gets an id, the log gets the rest
                return answer(error, request.url.path)

        return handler

    async def _identify(self, request: Request) -> None:
        """Find out who asks, and whether there is room for them. Who is refused counts by their address."""
        guard = type(self).guard
        if guard is None:
            return
        try:
            request.scope[CALLER] = await guard(request)
        finally:
            for admit in request.scope.get(ADMISSIONS, ()):
                await admit(caller_of(request))


def guarded(guard: Guard | None) -> type[Route]:
    """The class of the routes behind a guard."""
    return Route if guard is None else type("GuardedRoute", (Route,), {"guard": staticmethod(guard)})


def _as_json(scope: Scope) -> Scope:
    """Every body is JSON here, whatever it is called: ``curl -d`` calls it a form."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value.startswith(b"application/json"):
                return scope
            break
    others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*others, (b"content-type", b"application/json")]}


class Routes:
    """Adds handlers to a router, be it an app's own: flat, since routes are tried one after another."""

    def __init__(self, router: APIRouter, tag: str, guard: Guard | None = None) -> None:
        """``guard`` finds out who sends a request; without one, nobody asks."""
        self._router = router
        self._tag = tag
        self._route = guarded(guard)

    def add(self, operation: str, handler: Callable[..., Any], **options: Any) -> None:
        """``add("GET /threads/{thread_id}", handler)``."""
        method, path = operation.split(" ")
        self._router.add_api_route(
            path,
            handler,
            methods=[method],
            tags=[self._tag],
            route_class_override=self._route,
            **{**options, "responses": {**PROBLEMS, **options.get("responses", {})}},
        )


class EncodedSlashes:
    """Keeps ``%2F`` within a path segment from being taken for a separator."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if b"%2f" in raw.lower():
            segments = raw.split(b"?")[0].decode("latin-1").split("/")
            path = "/".join(unquote(segment).replace("/", SLASH) for segment in segments)
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)


def path_id(text: str) -> str:
    """An id as the client meant it."""
    return text.replace(SLASH, "/")


def path_uuid(text: str, what: str) -> str:
    """An id that has to be a UUID. Raises InvalidError."""
    if not is_uuid(text):
        raise InvalidError(f"Invalid {what} ID: it is a UUID, not {path_id(text)[:80]!r}")
    return text.lower()


def quoted(text: str) -> str:
    """An id as one segment of a path."""
    return quote(text, safe="")


def caller_of(request: HTTPConnection) -> Caller:
    """Who sent the request."""
    caller: Caller = request.scope.get(CALLER, ANONYMOUS)
    return replace(caller, address=request.client.host) if request.client else caller
