"""How requests reach their handlers, in an app with nothing but a handler or two."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException

from fast_graph.api.routing import MOST_LEVELS, SLASH, EncodedSlashes, Routes, path_id, path_uuid, quoted
from fast_graph.model.errors import ConflictError, InvalidError

ID = "0193ab00-0000-7000-8000-000000000001"


async def echo(body: dict[str, Any]) -> dict[str, Any]:
    return body


async def name(item: str) -> list[str]:
    return [path_id(item)]


async def busy() -> None:
    raise ConflictError("Thread t is busy")


async def broken() -> None:
    raise ZeroDivisionError("secret")


async def teapot() -> None:
    raise HTTPException(418, "short and stout")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app, router = FastAPI(), APIRouter()
    routes = Routes(router, "test")
    routes.add("POST /echo", echo)
    routes.add("GET /items/{item}", name)
    routes.add("GET /items/{item}/end", name)
    routes.add("GET /busy", busy)
    routes.add("GET /broken", broken)
    routes.add("GET /teapot", teapot)
    app.include_router(router)
    app.add_middleware(EncodedSlashes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        yield client


@pytest.mark.parametrize("item", ["a", "a/b", "/", "//", "a/b/c", "a b", "a?b", "ü/é", "%2F", "a%b", "50%"])
@pytest.mark.parametrize("end", ["", "/end"])
async def test_an_id_arrives_as_it_was_meant(http: httpx.AsyncClient, item: str, end: str) -> None:
    reply = await http.get(f"/items/{quoted(item)}{end}")
    assert (reply.status_code, reply.json()) == (200, [item])


async def test_small_letters_encode_a_slash_too(http: httpx.AsyncClient) -> None:
    assert (await http.get("/items/a%2fb?x=c%2Fd")).json() == ["a/b"]


async def test_a_slash_that_is_not_encoded_separates(http: httpx.AsyncClient) -> None:
    assert (await http.get("/items/a/b")).status_code == 404


@pytest.mark.parametrize(
    "kind",
    [None, "application/json", "application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"],
)
async def test_every_body_is_json_whatever_it_is_called(http: httpx.AsyncClient, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    reply = await http.post("/echo", content=b'{"a": 1}', headers=headers)
    assert (reply.status_code, reply.json()) == (200, {"a": 1})


@pytest.mark.parametrize("body", [b"{", b'{"a": NaN}', b'{"a": "\\ud800"}', b"{'a': 1}", b'{"a": "\xff"}'])
async def test_what_is_no_strict_json_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    reply = await http.post("/echo", content=body)
    assert (reply.status_code, reply.json()) == (422, {"detail": "Invalid JSON in request body"})


def nested(levels: int) -> bytes:
    """An object with that many levels in all."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


async def test_a_body_may_be_nested_as_deep_as_the_bound(http: httpx.AsyncClient) -> None:
    assert (await http.post("/echo", content=nested(MOST_LEVELS))).status_code == 200


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 1000, 100_000])
async def test_a_body_that_is_nested_deeper_is_refused(http: httpx.AsyncClient, levels: int) -> None:
    reply = await http.post("/echo", content=nested(levels))
    assert (reply.status_code, reply.json()) == (422, {"detail": "Invalid JSON in request body"})


async def test_brackets_in_text_are_no_nesting(http: httpx.AsyncClient) -> None:
    body = {"a": "[{" * MOST_LEVELS, "b": [[] for _ in range(MOST_LEVELS * 2)]}
    assert (await http.post("/echo", json=body)).json() == body


async def test_our_errors_have_their_status_and_text(http: httpx.AsyncClient) -> None:
    reply = await http.get("/busy")
    assert (reply.status_code, reply.json()) == (409, {"detail": "Thread t is busy"})


async def test_an_unexpected_error_tells_nothing_but_an_id(http: httpx.AsyncClient) -> None:
    reply = await http.get("/broken")
    assert reply.status_code == 500
    assert reply.json()["detail"].startswith("Internal error; the server's log has it as ")
    assert "secret" not in reply.text


async def test_the_frameworks_own_errors_stay(http: httpx.AsyncClient) -> None:
    reply = await http.get("/teapot")
    assert (reply.status_code, reply.json()) == (418, {"detail": "short and stout"})


async def test_other_protocols_pass_untouched() -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    await EncodedSlashes(inner)(scope, None, None)  # type: ignore[arg-type]
    assert seen == [scope]


def test_a_uuid_is_passed_on_and_anything_else_is_named() -> None:
    assert path_uuid(ID, "run") == ID
    with pytest.raises(InvalidError, match="Invalid run ID: it is a UUID, not 'a/b'"):
        path_uuid(f"a{SLASH}b", "run")
