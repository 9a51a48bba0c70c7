"""HTTP connections of a server that faces the world: uvicorn's, with bounds on what a client may make it wait for.

uvicorn closes connections that are idle between requests, but waits for ever for a request that has begun, or never
begins, and takes any number of headers.
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientHttp(HttpToolsProtocol):
    """A connection whose client has ``patience`` seconds for each request and ``most_head`` bytes for its headers."""

    def __init__(self, *, patience: float | None, most_head: int, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._patience = patience
        self._most_head = most_head
        self._arriving = True  # a connection is opened for a request
        self._in_head = True
        self._head = 0
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._arriving and getattr(self.cycle, "response_complete", True):
            # Whatever it is: uvicorn waits for idle connections no more once anything has come.
            self._arriving = self._in_head = True
            self._head = 0
        super().data_received(data)
        if self.transport.is_closing() or self not in self.connections:  # it has become a WebSocket
            self._calm()
            return
        if self._in_head and self._arriving:
            self._head += len(data)
            if self._head > self._most_head:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large")
                return
        self._watch()

    def on_message_begin(self) -> None:
        self._arriving = self._in_head = True
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arriving = False
        super().on_message_complete()

    def _watch(self) -> None:
        """The alarm runs while a request is on its way: most arrive at once and never need one."""
        if not self._arriving:
            self._calm()
        elif self._alarm is None and self._patience is not None:
            self._alarm = self.loop.call_later(self._patience, self._give_up)

    def _calm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up(self) -> None:
        self._alarm = None
        if self._in_head and not self._head:
            self.transport.close()
            return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The request did not arrive within {self._patience:g} s")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer, unless there is an answer already, and close the connection."""
        if self.transport.is_closing():
            return
        begun, ended = (getattr(self.cycle, f"response_{what}", False) for what in ("started", "complete"))
        if begun == ended:
            body = orjson.dumps({"detail": detail})
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            ending = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + ending).encode() + body)
        self.transport.close()


def patient_http(*, patience: float | None, most_head: int) -> Any:
    """What uvicorn makes its connections by: give it as ``http``."""
    return partial(PatientHttp, patience=patience, most_head=most_head)
