"""Runs as server-sent events and as answers that take their time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest
from starlette.types import Message

from fast_graph.api.sse import EventStream, Waiting, error_frame, frame, wanted
from fast_graph.model.errors import StreamTruncatedError
from fast_graph.model.records import Record
from fast_graph.services.streams import Feed
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_run

pytestmark = pytest.mark.timeout(10)

HEADERS = {"location": "/runs/1/stream", "content-location": "/runs/1"}
SCOPE: Any = {"type": "http", "method": "GET"}


def record(seq: int, name: str = "values", data: bytes = b"{}") -> Record:
    return Record(seq, 1000, name, data)


class Told:
    """A feed that says what the test says."""

    def __init__(self, *batches: Sequence[Record], result: bytes | None = None, resumable: bool = False) -> None:
        self.run = new_run(OwnedClock(), "thread", resumable=resumable)
        self.ended = False
        self.closed = False
        self.over = asyncio.Event()
        self.error: Exception | None = None
        self._batches = batches
        self._result = result
        if result is not None:
            self.over.set()

    async def __aenter__(self) -> "Told":
        return self

    async def __aexit__(self, *error: object) -> None:
        self.closed = True

    async def batches(self) -> AsyncIterator[Sequence[Record]]:
        for batch in self._batches:
            yield batch
        if self.error is not None:
            raise self.error
        await self.over.wait()
        self.ended = True

    async def result(self, *, patience: float) -> bytes | None:
        if self._result is None and patience < 1:
            return None
        await self.over.wait()
        self.ended = True
        return self._result or b"{}"


class Client:
    """The other end of a connection."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.leaves = asyncio.Event()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


def feed(*batches: Sequence[Record], **options: Any) -> tuple[Told, Feed]:
    told = Told(*batches, **options)
    return told, cast(Feed, told)


def test_a_frame_is_event_data_id_with_line_ends_of_two() -> None:
    assert frame(record(7), with_id=False) == b"event: values\r\ndata: {}\r\n\r\n"
    assert frame(record(7), with_id=True) == b"event: values\r\ndata: {}\r\nid: 1000-7\r\n\r\n"
    assert error_frame("E", "no") == b'event: error\r\ndata: {"error":"E","message":"no"}\r\n\r\n'


@pytest.mark.parametrize(
    ("name", "modes", "expected"),
    [
        ("values", None, True),
        ("values", {"values"}, True),
        ("values|child:1", {"values"}, True),
        ("messages/partial", {"messages"}, True),
        ("messages/partial|child:1", {"messages"}, True),
        ("updates", {"values"}, False),
        ("metadata", {"values"}, False),
        ("error", {"values"}, True),
        ("valuesque", {"values"}, False),
    ],
)
def test_a_reader_gets_the_modes_it_asked_for_and_every_error(
    name: str, modes: set[str] | None, expected: bool
) -> None:
    assert wanted(record(1, name), None if modes is None else frozenset(modes)) == expected


async def test_a_batch_goes_out_as_one_piece() -> None:
    told, source = feed([record(1), record(2)], [record(3)])
    told.over.set()
    client = Client()
    await EventStream(source, headers=HEADERS)(SCOPE, client.receive, client.send)
    bodies = [message["body"] for message in client.messages[1:] if message["body"]]
    assert [body.count(b"event:") for body in bodies] == [2, 1]
    assert told.closed


async def test_a_stream_has_the_headers_that_clients_and_proxies_look_for() -> None:
    told, source = feed([record(1)])
    told.over.set()
    client = Client()
    await EventStream(source, headers=HEADERS)(SCOPE, client.receive, client.send)
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert client.headers["cache-control"] == "no-store"
    assert client.headers["x-accel-buffering"] == "no"
    assert HEADERS.items() <= client.headers.items()


async def test_a_stream_leaves_out_what_was_not_asked_for() -> None:
    told, source = feed([record(1, "metadata")], [record(2, "messages"), record(3)], [record(4, "error")])
    told.over.set()
    client = Client()
    await EventStream(source, headers=HEADERS, modes=["messages-tuple"])(SCOPE, client.receive, client.send)
    assert client.text == frame(record(2, "messages"), with_id=False) + frame(record(4, "error"), with_id=False)


async def test_only_a_resumable_stream_has_ids() -> None:
    for resumable in (True, False):
        told, source = feed([record(1)], resumable=resumable)
        told.over.set()
        client = Client()
        await EventStream(source, headers=HEADERS)(SCOPE, client.receive, client.send)
        assert (b"id: 1000-1" in client.text) == resumable


async def test_a_reader_that_fell_behind_is_told() -> None:
    told, source = feed([record(1)])
    told.error = StreamTruncatedError("Events 2 to 9 are no longer kept")
    client = Client()
    await EventStream(source, headers=HEADERS)(SCOPE, client.receive, client.send)
    assert client.text.endswith(error_frame("StreamTruncatedError", "Events 2 to 9 are no longer kept"))


async def hang_up(response: EventStream | Waiting, client: Client) -> None:
    client.leaves.set()
    await response(SCOPE, client.receive, client.send)


@pytest.mark.parametrize("kind", [EventStream, Waiting])
async def test_what_is_to_be_done_for_a_client_that_hangs_up_is_done_to_the_end(kind: Any) -> None:
    done: list[str] = []

    async def gone() -> None:
        await asyncio.sleep(0)
        told.over.set()
        for _ in range(10):
            await asyncio.sleep(0)
        done.append("cancelled")

    told, source = feed()
    await hang_up(kind(source, headers=HEADERS, gone=gone), Client())
    assert told.closed
    assert done == ["cancelled"]


@pytest.mark.parametrize("kind", [EventStream, Waiting])
async def test_a_client_that_hangs_up_is_let_go(kind: Any) -> None:
    told, source = feed()
    await hang_up(kind(source, headers=HEADERS), Client())
    assert told.closed
    assert not told.ended


async def test_a_quick_answer_comes_in_one_piece() -> None:
    told, source = feed(result=b'{"x":1}')
    client = Client()
    await Waiting(source, headers=HEADERS)(SCOPE, client.receive, client.send)
    assert client.headers == {**HEADERS, "content-type": "application/json", "content-length": "7"}
    assert client.text == b'{"x":1}'
    assert told.closed


async def test_a_slow_answer_is_json_of_unknown_length() -> None:
    told, source = feed()
    client = Client()
    async with asyncio.TaskGroup() as group:
        group.create_task(Waiting(source, headers=HEADERS)(SCOPE, client.receive, client.send))
        while not client.messages:  # noqa: ASYNC110 - the headers are the sign
            await asyncio.sleep(0)
        told.over.set()
    assert client.headers["content-type"] == "application/json"
    assert "content-length" not in client.headers
    assert HEADERS.items() <= client.headers.items()
    assert client.text == b"{}"
    assert client.messages[-1].get("more_body", False) is False


async def test_a_feed_is_closed_when_the_connection_breaks() -> None:
    async def broken(message: Message) -> None:
        raise OSError("gone")

    for kind in (EventStream, Waiting):
        told, source = feed([record(1)], result=b"{}")
        with pytest.raises(OSError, match="gone"):
            await kind(source, headers=HEADERS)(SCOPE, Client().receive, broken)
        assert told.closed
