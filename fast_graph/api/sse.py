"""Records as server-sent events, and answers that take their time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict

from anyio import CancelScope
from fastapi import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message, Receive, Scope, Send

from fast_graph.graphs.failures import describe
from fast_graph.graphs.serde import encode
from fast_graph.model.errors import StreamTruncatedError
from fast_graph.model.records import Record
from fast_graph.services.streams import Feed

HEARTBEAT = 5
"""Seconds between signs of life. Clients learn the interval and take three missed ones for a dead connection."""

GRACE = 0.5
"""Seconds a waiting client goes without headers, so that quick runs are answered in one piece."""

Gone = Callable[[], Awaitable[None]]
"""What to do when the client hangs up before the run has ended."""


def frame(record: Record, *, with_id: bool) -> bytes:
    """One event as clients read it."""
    if with_id:
        return b"event: %b\r\ndata: %b\r\nid: %b\r\n\r\n" % (record.name.encode(), record.data, record.id.encode())
    return b"event: %b\r\ndata: %b\r\n\r\n" % (record.name.encode(), record.data)


def error_frame(error: str, message: str) -> bytes:
    """An error that is not the run's own."""
    return b"event: error\r\ndata: %b\r\n\r\n" % encode({"error": error, "message": message})


def wanted(record: Record, modes: frozenset[str] | None) -> bool:
    """Whether a reader who asked for these modes gets the record. Errors are for everyone."""
    if modes is None:
        return True
    base = record.name.partition("|")[0].partition("/")[0]
    return base in modes or base == "error"


class EventStream(EventSourceResponse):
    """The events of a run, until it has ended."""

    def __init__(
        self, feed: Feed, *, headers: Mapping[str, str], modes: Sequence[str] | None = None, gone: Gone | None = None
    ) -> None:
        names = None if modes is None else frozenset(mode.removesuffix("-tuple") for mode in modes)
        super().__init__(
            _frames(feed, names),
            headers=headers,
            ping=HEARTBEAT,
            ping_message_factory=lambda: ServerSentEvent(comment="heartbeat"),
            client_close_handler_callable=_on_hanging_up(feed, gone),
        )
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._feed:
            await super().__call__(scope, receive, send)


async def _frames(feed: Feed, modes: frozenset[str] | None) -> AsyncIterator[bytes]:
    """Whatever is ready goes out as one piece."""
    with_id = feed.run.resumable
    try:
        async for batch in feed.batches():
            piece = b"".join([frame(record, with_id=with_id) for record in batch if wanted(record, modes)])
            if piece:
                yield piece
    except StreamTruncatedError as error:
        yield error_frame(**asdict(describe(error)))


class Waiting(Response):
    """The final values of a run, however long it takes: JSON, with a newline now and then as a sign of life."""

    media_type = "application/json"

    def __init__(self, feed: Feed, *, headers: Mapping[str, str], gone: Gone | None = None) -> None:
        super().__init__(None, headers=headers)
        self._feed = feed
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._feed:
            result = await self._feed.result(patience=GRACE)
            if result is None:
                await self._in_time()(scope, receive, send)
            else:
                await self._at_once(result, send)

    def _in_time(self) -> EventSourceResponse:
        """A stream, too, if not of events: it ends when the client hangs up, or the server stops."""
        stream = EventSourceResponse(
            _whole(self._feed),
            headers={name: value for name, value in self.headers.items() if name != "content-length"},
            media_type=self.media_type,
            ping=0,
            client_close_handler_callable=_on_hanging_up(self._feed, self._gone),
        )
        del stream.headers["cache-control"]  # it is not one of events, and the platform says nothing of caches here
        return stream

    async def _at_once(self, result: bytes, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        headers.append((b"content-length", b"%d" % len(result)))
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": result})


async def _whole(feed: Feed) -> AsyncIterator[bytes]:
    while (result := await feed.result(patience=HEARTBEAT)) is None:
        yield b"\n"
    yield result


def _on_hanging_up(feed: Feed, gone: Gone | None) -> Callable[[Message], Awaitable[None]]:
    async def hung_up(message: Message) -> None:
        if gone is not None and not feed.ended:
            with CancelScope(shield=True):  # the run may end on the way, and the response with it
                await gone()

    return hung_up
