import asyncio
import re
from itertools import pairwise
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import StreamPart

from tests.protocol.contract.driver import frames_of
from tests.protocol.doors import Door
from tests.protocol.dropping import DroppingTransport
from tests.protocol.requirements import covers
from tests.protocol.serving import PATIENCE
from tests.protocol.talking import HELLO, data_of, final, new_thread, started, streamed, thread_of

STEPS: dict[str, Any] = {"assistant_id": "steps", "input": {"log": []}}
FRAME = r"(event: [^\r\n]+\r\ndata: [^\r\n]+\r\n(id: [^\r\n]+\r\n)?\r\n)"


@pytest.fixture
def client(remote: LangGraphClient) -> LangGraphClient:
    """One server for all tests: each has threads of its own."""
    return remote


@pytest.fixture
def http(web: httpx.AsyncClient) -> httpx.AsyncClient:
    return web


async def until(response: httpx.Response, text: str) -> str:
    """What a stream has sent by the time that it has sent the text."""
    sent = ""
    async with asyncio.timeout(PATIENCE):
        async for piece in response.aiter_text():
            sent += piece
            if text in sent:
                break
    return sent


async def resumable(client: LangGraphClient, thread: str) -> tuple[str, list[StreamPart]]:
    """The id and frames of a run whose stream is kept."""
    parts = await streamed(client, thread, "steps", {"log": []}, ["values", "updates"], stream_resumable=True)
    return parts[0].data["run_id"], parts


async def joined(client: LangGraphClient, thread: str, run: str, **options: Any) -> list[StreamPart]:
    """What somebody gets who joins."""
    return [part async for part in client.runs.join_stream(thread, run, **options)]


@covers("stream.headers")
async def test_a_stream_is_not_cached_and_says_where_to_come_back_to(http: httpx.AsyncClient) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    response = await http.post("/threads/t/runs/stream", json=STEPS)
    run = f"/threads/t/runs/{frames_of(response.text)[0]['data']['run_id']}"
    expected = {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "location": f"{run}/stream",
        "content-location": run,
    }
    assert {name: response.headers.get(name) for name in expected} == expected
    assert (await http.get(response.headers["location"])).headers["location"] == f"{run}/stream"


@covers("stream.frames", "stream.metadata")
@pytest.mark.parametrize("kept", [True, False])
async def test_frames_are_event_data_and_id_lines(http: httpx.AsyncClient, kept: bool) -> None:
    body = {**STEPS, "stream_resumable": kept, "stream_mode": ["values", "updates"]}
    response = await http.post("/runs/stream", json=body)
    assert re.fullmatch(f"{FRAME}+", response.text)
    assert ("\r\nid: " in response.text) is kept
    first, *others = frames_of(response.text)
    assert first["event"] == "metadata"
    assert first["data"].keys() == {"run_id", "attempt"}
    assert first["data"]["attempt"] == 1
    assert "metadata" not in {frame["event"] for frame in others}


@covers("stream.end")
async def test_a_stream_ends_when_its_run_has_ended(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    parts = await streamed(client, thread, "steps", {"log": []}, ["values"])
    assert parts[-1].event == "values"
    run = await client.runs.get(thread, parts[0].data["run_id"])
    assert run["status"] == "success"
    assert (await thread_of(client, thread))["status"] == "idle"


@covers("stream.live")
async def test_frames_arrive_while_the_run_goes_on(remote: LangGraphClient, door: Door) -> None:
    thread = await new_thread(remote)
    nodes: list[str] = []
    async for part in remote.runs.stream(thread, "door", input={"door": door.name}, stream_mode="updates"):
        if part.event == "updates":
            nodes.append(*part.data)
            door.open()
    assert nodes == ["before", "wait"]


@covers("stream.heartbeat", "runs.wait.signs_of_life")
async def test_there_are_signs_of_life_while_nothing_happens(web: httpx.AsyncClient, door: Door) -> None:
    body = {"assistant_id": "door", "input": {"log": [], "door": door.name}}
    async with (
        web.stream("POST", "/runs/stream", json=body) as stream,
        web.stream("POST", "/runs/wait", json=body) as wait,
    ):
        comments, (newline, whole) = asyncio.create_task(until(stream, ": heartbeat")), await first_piece(wait, door)
        assert ": heartbeat\r\n" in await comments
    assert newline == "\n"
    assert whole["log"] == ["before", "behind"]


async def first_piece(response: httpx.Response, door: Door) -> tuple[str, Any]:
    """The first that came, and after the door was opened, all that came."""
    pieces: list[str] = []
    async for piece in response.aiter_text():
        pieces.append(piece)
        door.open()
    return pieces[0], httpx.Response(200, text="".join(pieces)).json()


@covers("stream.error")
async def test_an_exception_is_one_last_error_frame(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    parts = await streamed(client, thread, "failing", {"content": "x"}, ["values", "updates"])
    assert parts[-1].event == "error"
    assert parts[-1].data == {"error": "ValueError", "message": "boom: fine"}
    assert [part.event for part in parts].count("error") == 1
    assert (await client.runs.get(thread, parts[0].data["run_id"]))["status"] == "error"


@covers("stream.refused")
async def test_what_is_refused_is_plain_json(http: httpx.AsyncClient) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    for path, body, status in (
        ("/threads/unknown/runs/stream", STEPS, 404),
        ("/threads/t/runs/stream", {**STEPS, "stream_mode": ["values", "bogus"]}, 422),
        ("/runs/stream", {**STEPS, "assistant_id": "no-such-graph"}, 422),
    ):
        response = await http.post(path, json=body)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json")


@covers("stream.interrupt")
async def test_an_interrupt_is_told_in_values_and_updates(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    parts = await streamed(client, thread, "hitl", {"question": "q"}, ["values", "updates"])
    (in_updates,) = [data["__interrupt__"] for data in data_of(parts, "updates")]
    in_values = data_of(parts, "values")[-1]["__interrupt__"]
    assert [one["value"] for one in in_updates] == [one["value"] for one in in_values] == [{"question": "q"}]
    assert in_updates[0]["id"] == in_values[0]["id"]


@covers("stream.interrupt")
async def test_a_static_interrupt_asks_nothing(client: LangGraphClient) -> None:
    parts = await streamed(client, await new_thread(client), "gate", {"log": []}, ["updates"])
    assert data_of(parts, "updates") == [{"a": {"log": ["a"]}}, {"__interrupt__": []}]


@covers("stream.on_run_created")
async def test_the_client_learns_the_ids_first(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    told: list[Any] = []
    parts = await streamed(client, thread, "echo", {}, ["values"], on_run_created=told.append)
    assert told == [{"run_id": parts[0].data["run_id"], "thread_id": thread}]


@covers("mode.values")
async def test_values_are_the_state_after_each_superstep(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "steps", {"log": ["x"]}, ["values"])
    logs = [data["log"] for data in data_of(parts, "values")]
    assert logs == [["x"], ["x", "a"], ["x", "a", "b"], ["x", "a", "b", "c"]]


@covers("mode.updates")
async def test_updates_are_what_nodes_returned(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "steps", {"log": ["x"]}, ["updates"])
    assert data_of(parts, "updates") == [{node: {"log": [node]}} for node in "abc"]


@covers("mode.messages")
async def test_messages_grow(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "chat", HELLO, ["messages"])
    (about,) = data_of(parts, "messages/metadata")
    assert about["ai-1"]["metadata"]["langgraph_node"] == "model"
    texts = [message["content"] for (message,) in data_of(parts, "messages/partial")]
    assert texts == ["Hello ", "Hello from ", "Hello from the ", "Hello from the fake ", "Hello from the fake model"]
    assert {message["type"] for (message,) in data_of(parts, "messages/partial")} == {"ai"}


@covers("mode.messages")
async def test_a_message_in_one_piece_is_complete_at_once(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "say", {"messages": []}, ["messages"])
    assert [part.event for part in parts] == ["metadata", "messages/metadata", "messages/complete"]
    assert parts[-1].data[0]["content"] == "said in one piece"


@covers("mode.messages_tuple")
async def test_tokens_come_with_their_metadata(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "chat", HELLO, ["messages-tuple"])
    tokens = data_of(parts, "messages")
    assert [token["content"] for token, _ in tokens] == ["Hello ", "from ", "the ", "fake ", "model"]
    assert {token["type"] for token, _ in tokens} == {"AIMessageChunk"}
    assert tokens[-1][0]["chunk_position"] == "last"
    metadata = tokens[0][1]
    assert (metadata["langgraph_node"], metadata["langgraph_step"], metadata["graph_id"]) == ("model", 1, "chat")
    assert metadata["run_id"] == parts[0].data["run_id"]


@covers("mode.messages_tuple")
async def test_a_message_in_one_piece_is_no_chunk(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "say", {"messages": []}, ["messages-tuple"])
    ((message, _),) = data_of(parts, "messages")
    assert (message["type"], message["content"]) == ("ai", "said in one piece")


@covers("mode.custom")
async def test_custom_is_whatever_a_node_writes(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "custom", {}, ["custom"])
    assert data_of(parts, "custom") == [{"progress": 1}, "plain text"]


@covers("mode.tasks")
async def test_tasks_begin_and_end(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "echo", {"content": "x"}, ["tasks"])
    begun, ended = data_of(parts, "tasks")
    assert begun["id"] == ended["id"]
    assert (begun["name"], begun["input"]) == ("echo", {"content": "x"})
    assert (ended["result"], ended["error"], ended["interrupts"]) == ({"content": "echo: x"}, None, [])


@covers("mode.checkpoints")
async def test_checkpoints_are_told_as_they_are_written(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    parts = await streamed(client, thread, "echo", {"content": "x"}, ["checkpoints"])
    told = data_of(parts, "checkpoints")
    assert [checkpoint["metadata"]["source"] for checkpoint in told] == ["input", "loop", "loop"]
    written = {state["checkpoint_id"] for state in await client.threads.get_history(thread)}  # type: ignore[typeddict-item] # the client's type lacks it
    assert {checkpoint["config"]["configurable"]["checkpoint_id"] for checkpoint in told} == written
    assert told[-1]["values"] == {"content": "echo: x"}
    assert "__pregel" not in str(told)


@covers("mode.debug")
async def test_debug_is_tasks_and_checkpoints_by_step(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "echo", {"content": "x"}, ["debug"])
    told = data_of(parts, "debug")
    kinds = ["checkpoint", "checkpoint", "task", "task_result", "checkpoint"]
    assert [one["type"] for one in told] == kinds
    assert [one["step"] for one in told] == [-1, 0, 1, 1, 1]
    assert told[0]["payload"]["checkpoint"]["checkpoint_id"]


@covers("mode.events")
async def test_events_are_langchains_own(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "chat", HELLO, ["events"])
    told = data_of(parts, "events")
    kinds = {event["event"] for event in told}
    assert {"on_chain_start", "on_chat_model_stream", "on_chain_end"} <= kinds
    nodes = {event["metadata"].get("langgraph_node") for event in told if event["event"] == "on_chat_model_stream"}
    assert nodes == {"model"}


@covers("mode.many")
async def test_modes_share_a_stream(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "custom", {"content": "x"}, ["values", "updates", "custom"])
    events = [part.event for part in parts]
    assert events == ["metadata", "values", "custom", "custom", "updates", "values"]


@covers("mode.many")
async def test_values_and_messages_come_side_by_side(client: LangGraphClient) -> None:
    parts = await streamed(client, None, "chat", HELLO, ["values", "messages-tuple", "events"])
    text = "".join(token["content"] for token, _ in data_of(parts, "messages"))
    assert data_of(parts, "values")[-1]["messages"][-1]["content"] == text
    assert data_of(parts, "events")


@covers("mode.subgraphs")
async def test_frames_of_subgraphs_have_their_namespace(client: LangGraphClient) -> None:
    deep = await streamed(client, None, "parent", {"log": []}, ["updates"], stream_subgraphs=True)
    events = [part.event for part in deep if part.event != "metadata"]
    assert [event.partition("|")[0] for event in events] == ["updates"] * 3
    (inner,) = [event for event in events if "|" in event]
    assert re.fullmatch(r"updates\|child:[0-9a-f-]{36}", inner)
    flat = await streamed(client, None, "parent", {"log": []}, ["updates"])
    assert [part.event for part in flat] == ["metadata", "updates", "updates"]


@covers("join_stream.now")
async def test_who_joins_gets_what_comes_from_now_on(
    remote: LangGraphClient, web: httpx.AsyncClient, door: Door
) -> None:
    thread = await new_thread(remote)
    run = await started(remote, thread, "door", {"door": door.name}, stream_mode=["updates"])
    await door.reached()
    async with web.stream("GET", f"/threads/{thread}/runs/{run['run_id']}/stream") as response:
        door.open()
        frames = frames_of((await response.aread()).decode())
    # The update of the node before may be on its way still; what was said at first is not.
    assert frames[-1]["data"] == {"wait": {"log": ["behind"]}}
    assert "metadata" not in {frame["event"] for frame in frames}


@covers("join_stream.now")
async def test_the_stream_of_a_finished_run_is_empty(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "echo", {})
    (plain,) = await client.runs.list(thread)
    kept, _ = await resumable(client, thread)
    for run in (plain["run_id"], kept):
        assert await joined(client, thread, run) == []


@covers("join_stream.modes")
async def test_who_joins_may_ask_for_some_modes(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    run, parts = await resumable(client, thread)
    updates = [part for part in parts if part.event == "updates"]
    assert await joined(client, thread, run, stream_mode="updates", last_event_id="-1") == updates
    both = await joined(client, thread, run, stream_mode=["updates", "values"], last_event_id="-1")
    assert both == parts[1:]
    path, headers = f"/threads/{thread}/runs/{run}/stream", {"last-event-id": "-1"}
    as_json = await http.get(path, params={"stream_mode": '["updates"]'}, headers=headers)
    assert [frame["event"] for frame in frames_of(as_json.text)] == ["updates"] * 3


@covers("join_stream.modes")
async def test_errors_are_for_everyone(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    parts = await streamed(client, thread, "failing", {}, ["values", "updates"], stream_resumable=True)
    run = parts[0].data["run_id"]
    told = await joined(client, thread, run, stream_mode="updates", last_event_id="-1")
    assert [part.event for part in told] == ["updates", "error"]


@covers("join_stream.unknown")
async def test_the_stream_of_an_unknown_run_is_one_error_frame(client: LangGraphClient) -> None:
    (part,) = await joined(client, await new_thread(client), str(uuid4()))
    assert part.event == "error"
    assert part.data["error"] == "HTTPException"
    assert part.data["message"].startswith("404")


@covers("join_stream.cancel_on_disconnect", "runs.join.cancel_on_disconnect")
@pytest.mark.parametrize("way", ["stream", "join"])
@pytest.mark.parametrize(("cancel", "status"), [(True, "interrupted"), (False, "success")])
async def test_who_joins_may_take_the_run_along(
    remote: LangGraphClient, web: httpx.AsyncClient, door: Door, way: str, cancel: bool, status: str
) -> None:
    thread = await new_thread(remote)
    run = await started(remote, thread, "door", {"door": door.name}, stream_resumable=True)
    await door.reached()
    path = f"/threads/{thread}/runs/{run['run_id']}/{way}"
    options: dict[str, Any] = {"params": {"cancel_on_disconnect": cancel}, "headers": {"last-event-id": "-1"}}
    async with web.stream("GET", path, **options):
        pass
    if not cancel:
        door.open()
    await remote.runs.join(thread, run["run_id"])
    assert (await remote.runs.get(thread, run["run_id"]))["status"] == status


@covers("runs.on_disconnect")
@pytest.mark.parametrize("way", ["stream", "wait"])
@pytest.mark.parametrize(
    ("option", "status"),
    [({"on_disconnect": "cancel"}, "interrupted"), ({"on_disconnect": "continue"}, "success"), ({}, "success")],
)
async def test_a_client_that_hangs_up_leaves_or_takes_its_run(
    remote: LangGraphClient, web: httpx.AsyncClient, door: Door, way: str, option: dict[str, str], status: str
) -> None:
    thread = await new_thread(remote)
    body = {"assistant_id": "door", "input": {"door": door.name}, **option}
    async with web.stream("POST", f"/threads/{thread}/runs/{way}", json=body):
        await door.reached()
    (run,) = await remote.runs.list(thread)
    if status == "success":
        door.open()
    await remote.runs.join(thread, run["run_id"])
    assert (await remote.runs.get(thread, run["run_id"]))["status"] == status


@covers("resume.ids", "resume.unique")
async def test_ids_are_unique_and_rising(client: LangGraphClient) -> None:
    _, parts = await resumable(client, await new_thread(client))
    ids = [tuple(map(int, str(part.id).split("-"))) for part in parts]
    assert all(earlier < later for earlier, later in pairwise(ids))


@covers("resume.ids")
async def test_frames_of_runs_that_cannot_be_resumed_have_no_ids(client: LangGraphClient) -> None:
    parts = await streamed(client, await new_thread(client), "steps", {"log": []}, ["values"])
    assert {part.id for part in parts} == {None}


@covers("resume.after")
async def test_who_comes_back_gets_every_later_frame_once(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    run, parts = await resumable(client, thread)
    for seen, part in enumerate(parts, start=1):
        assert await joined(client, thread, run, last_event_id=part.id) == parts[seen:]


@covers("resume.all")
async def test_all_frames_can_be_had_again(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    run, parts = await resumable(client, thread)
    for everything in ("-1", "0"):
        assert await joined(client, thread, run, last_event_id=everything) == parts
    assert await joined(client, thread, run, last_event_id=parts[-1].id) == []


@covers("resume.after", "resume.all")
async def test_a_stream_can_be_resumed_while_it_goes_on(remote: LangGraphClient, door: Door) -> None:
    thread = await new_thread(remote)
    run = await started(remote, thread, "door", {"door": door.name}, stream_mode=["updates"], stream_resumable=True)
    await door.reached()
    nodes: list[str] = []
    async for part in remote.runs.join_stream(thread, run["run_id"], last_event_id="-1"):
        if part.event == "updates":
            nodes.append(*part.data)
            door.open()
    assert nodes == ["before", "wait"]


@covers("resume.invalid")
@pytest.mark.parametrize("senseless", ["zzz", "12", "1-", "1-x", "--1"])
async def test_an_id_that_no_stream_has_sent_is_refused(http: httpx.AsyncClient, senseless: str) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    run = (await http.post("/threads/t/runs", json=STEPS)).json()["run_id"]
    response = await http.get(f"/threads/t/runs/{run}/stream", headers={"last-event-id": senseless})
    assert response.status_code == 422


@covers("resume.reconnect")
async def test_a_client_whose_connection_drops_loses_nothing(address: str, door: Door) -> None:
    transport = DroppingTransport(lambda sent: b'"before"' in sent, dropped=door.open)
    async with httpx.AsyncClient(transport=transport, base_url=address, timeout=PATIENCE) as network:
        client = LangGraphClient(network)
        thread = await new_thread(client)
        parts = await streamed(
            client, thread, "door", {"door": door.name}, ["values", "updates"], stream_resumable=True
        )
        kept = await joined(client, thread, parts[0].data["run_id"], last_event_id="-1")
    again = [request for request in transport.requests if request.url.path.endswith("/stream")][1]
    assert (again.method, "last-event-id" in again.headers) == ("GET", True)
    assert [data["log"] for data in data_of(parts, "values")] == [[], ["before"], ["before", "behind"]]
    assert parts == kept
