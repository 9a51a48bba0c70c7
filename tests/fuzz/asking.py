"""Requests straight to an ASGI app, byte by byte as given, and what no answer may be like."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import FastAPI

from tests.docs.documents import ROOT

PATIENCE = 30.0
"""Seconds after which an answer is taken never to come."""

LEAKS = re.compile(
    rb"Traceback|site-packages|\.py\b|SELECT |INSERT |sqlalchemy|asyncpg|psycopg|fast_graph\.|<class |"
    + str(ROOT).encode()
)
"""What only those may see who look into the server."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A request as a client sends it that keeps to no rules."""

    method: str
    target: bytes
    """Path and query, encoded."""
    body: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ()


@dataclass
class Answer:
    """What came back, until the client had enough of a stream."""

    method: str
    status: int = 0
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, message: Mapping[str, Any]) -> None:
        """Part of it."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message.get("body", b"")
        is_stream = b"event-stream" in self.headers.get(b"content-type", b"")
        if self.is_enough if is_stream else message["type"] == "http.response.body" and not message.get("more_body"):
            self.left.set()

    @property
    def is_enough(self) -> bool:
        """Whoever comes back to a stream may wait for ever; whoever starts a run hears of it."""
        return bool(self.body) or self.method == "GET"


async def ask(app: FastAPI, attempt: Attempt) -> Answer:
    """The answer. A stream is left at its first words, which a server has to bear as well."""
    path, _, query = attempt.target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": attempt.method,
        "scheme": "http",
        "path": _unquoted(path),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"server"), (b"content-length", b"%d" % len(attempt.body)), *attempt.headers],
        "client": ("127.0.0.1", 1),
        "server": ("server", 80),
        "state": {},
    }
    answer, bodies = Answer(attempt.method), [attempt.body]

    async def receive() -> dict[str, Any]:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        await answer.left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        answer.take(message)

    async with asyncio.timeout(PATIENCE):
        await app(scope, receive, send)
    return answer


def _unquoted(path: bytes) -> str:
    """As uvicorn does."""
    found = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), path)
    return found.decode("utf-8", "replace")


def check(attempt: Attempt, answer: Answer) -> None:
    """Fails for what no client may ever get."""
    assert 200 <= answer.status < 500, f"{attempt} got {answer.status}: {answer.body[:500]!r}"
    assert not LEAKS.search(answer.body), f"{attempt} got {answer.body[:2000]!r}"
    if answer.status >= 400:
        detail = orjson.loads(answer.body)["detail"]
        assert isinstance(detail, str), f"{attempt} got {answer.body!r}"
        assert detail, f"{attempt} got {answer.body!r}"
