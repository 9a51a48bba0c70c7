from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from tests.protocol.doors import Door, Doors
from tests.protocol.requirements import covers
from tests.protocol.talking import final, history_of, new_thread, started, state_of, thread_of


async def at_door(client: LangGraphClient, door: Door) -> tuple[str, str]:
    """A thread and its run, which has come to a door."""
    thread = await new_thread(client)
    run = await started(client, thread, "door", {"door": door.name})
    await door.reached()
    return thread, run["run_id"]


@covers("cancel.interrupt")
async def test_a_running_run_stops_where_it_is(client: LangGraphClient, door: Door) -> None:
    thread, run = await at_door(client, door)
    await client.runs.cancel(thread, run)
    await client.runs.join(thread, run)
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    row = await thread_of(client, thread)
    assert (row["status"], row["error"]["error"]) == ("interrupted", "UserInterrupt")
    assert (await state_of(client, thread))["values"]["log"] == ["before"]


@covers("cancel.interrupt")
async def test_a_cancelled_run_can_be_gone_on_with(client: LangGraphClient, door: Door) -> None:
    thread, run = await at_door(client, door)
    await client.runs.cancel(thread, run, wait=True)
    door.open()
    assert (await final(client, thread, "door"))["log"] == ["before", "behind"]
    assert (await thread_of(client, thread))["status"] == "idle"


@covers("cancel.interrupt")
async def test_a_cancel_that_does_not_wait_is_accepted_at_once(
    client: LangGraphClient, http: httpx.AsyncClient, door: Door
) -> None:
    thread, run = await at_door(client, door)
    response = await http.post(f"/threads/{thread}/runs/{run}/cancel")
    assert (response.status_code, response.content) == (202, b"")


@covers("cancel.rollback")
@pytest.mark.parametrize("wait", [True, False])
async def test_a_running_run_can_be_undone(client: LangGraphClient, door: Door, wait: bool) -> None:
    thread, run = await at_door(client, door)
    await client.runs.cancel(thread, run, wait=wait, action="rollback")
    await client.runs.join(thread, run)
    assert await client.runs.list(thread) == []
    assert await history_of(client, thread) == []
    row = await thread_of(client, thread)
    assert (row["status"], row["values"], row["error"]["error"]) == ("idle", None, "UserRollback")


@covers("cancel.rollback")
async def test_undoing_a_run_leaves_what_was_before(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    await final(client, thread, "door", {"log": ["earlier"], "door": None})
    before = await history_of(client, thread)
    run = await started(client, thread, "door", {"door": door.name})
    await door.reached()
    await client.runs.cancel(thread, run["run_id"], wait=True, action="rollback")
    assert await history_of(client, thread) == before
    assert (await thread_of(client, thread))["values"]["log"] == ["earlier", "before", "behind"]


@covers("cancel.pending")
async def test_a_pending_run_never_starts(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    run = await started(client, thread, "echo", {"content": "x"}, after_seconds=3600)
    await client.runs.cancel(thread, run["run_id"])
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "interrupted"
    row = await thread_of(client, thread)
    assert (row["status"], row["values"]) == ("idle", None)


@covers("cancel.pending")
async def test_cancelling_a_pending_run_leaves_the_running_one(client: LangGraphClient, door: Door) -> None:
    thread, running = await at_door(client, door)
    pending = await started(client, thread, "door", {"door": None})
    await client.runs.cancel(thread, pending["run_id"], wait=True)
    door.open()
    await client.runs.join(thread, running)
    assert [run["status"] for run in await client.runs.list(thread)] == ["interrupted", "success"]
    assert (await state_of(client, thread))["values"]["log"] == ["before", "behind"]


@covers("cancel.wait")
@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancel_that_waits_returns_when_the_run_has_stopped(
    client: LangGraphClient, http: httpx.AsyncClient, door: Door, action: str
) -> None:
    thread, run = await at_door(client, door)
    path = f"/threads/{thread}/runs/{run}"
    response = await http.post(f"{path}/cancel", params={"wait": "true", "action": action})
    assert (response.status_code, response.json()) == (200, {})
    assert response.headers["location"] == f"{path}/join"
    assert (await thread_of(client, thread))["status"] != "busy"


@covers("cancel.stream")
async def test_the_stream_of_a_cancelled_run_ends_without_an_error(remote: LangGraphClient, door: Door) -> None:
    thread = await new_thread(remote)
    events = []
    async for part in remote.runs.stream(thread, "door", input={"door": door.name}, stream_mode=["updates"]):
        events.append(part.event)
        if part.event == "updates":
            await door.reached()
            (run,) = await remote.runs.list(thread)
            await remote.runs.cancel(thread, run["run_id"])
    assert events == ["metadata", "updates"]


@covers("cancel.many")
async def test_several_runs_of_a_thread_are_cancelled(client: LangGraphClient, door: Door) -> None:
    thread, running = await at_door(client, door)
    waiting = [(await started(client, thread, "door", {"door": None}))["run_id"] for _ in range(2)]
    await client.runs.cancel_many(thread_id=thread, run_ids=[running, waiting[0]])
    await client.runs.join(thread, waiting[1])
    assert [run["status"] for run in await client.runs.list(thread)] == ["success", "interrupted", "interrupted"]


@covers("cancel.many")
async def test_several_runs_can_be_undone(client: LangGraphClient, door: Door) -> None:
    thread, running = await at_door(client, door)
    await client.runs.cancel_many(thread_id=thread, run_ids=[running], action="rollback")
    await client.runs.join(thread, running)
    assert await client.runs.list(thread) == []


@covers("cancel.by_status")
@pytest.mark.parametrize(("status", "left"), [("pending", "running"), ("running", "pending"), ("all", None)])
async def test_all_runs_of_a_status_are_cancelled(
    client: LangGraphClient, doors: Doors, status: Any, left: str | None
) -> None:
    door = doors.new()
    thread, running = await at_door(client, door)
    pending = await started(client, await new_thread(client), "echo", {}, after_seconds=3600)
    await client.runs.cancel_many(status=status)
    if status != "pending":
        await client.runs.join(thread, running)
    found = {
        "running": (await client.runs.get(thread, running))["status"],
        "pending": (await client.runs.get(pending["thread_id"], pending["run_id"]))["status"],
    }
    assert found == {name: name if name == left else "interrupted" for name in found}
    door.open()


@covers("cancel.invalid")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"thread_id": "t"},
        {"run_ids": [str(uuid4())]},
        {"status": "done"},
        {"thread_id": "t", "run_ids": ["bad"]},
        {"thread_id": "t", "run_ids": [str(uuid4())], "status": "all"},
    ],
)
async def test_a_cancel_must_say_which_runs_in_one_way(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await http.post("/runs/cancel", json=body)).status_code == 422


@covers("cancel.invalid")
async def test_an_unknown_action_is_refused(client: LangGraphClient, http: httpx.AsyncClient, door: Door) -> None:
    thread, run = await at_door(client, door)
    response = await http.post(f"/threads/{thread}/runs/{run}/cancel", params={"action": "explode"})
    assert response.status_code == 422
    assert (await client.runs.get(thread, run))["status"] == "running"


@covers("cancel.nothing")
async def test_what_does_not_run_cannot_be_cancelled(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "echo", {"content": "x"})
    (finished,) = await client.runs.list(thread)
    for run in (finished["run_id"], str(uuid4())):
        for wait in (True, False):
            with pytest.raises(httpx.HTTPStatusError) as refused:
                await client.runs.cancel(thread, run, wait=wait)
            assert refused.value.response.status_code == 404
        with pytest.raises(NotFoundError):
            await client.runs.cancel_many(thread_id=thread, run_ids=[run])
    with pytest.raises(NotFoundError):
        await client.runs.cancel_many(status="all")
