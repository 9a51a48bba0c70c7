"""The official client without async."""

from typing import Any

import pytest
from langgraph_sdk.client import SyncLangGraphClient
from langgraph_sdk.errors import NotFoundError

from tests.protocol.doors import Door
from tests.protocol.requirements import covers


@covers("walk.sync")
def test_a_conversation_without_async(sync_remote: SyncLangGraphClient) -> None:
    thread = sync_remote.threads.create(metadata={"sync": True})["thread_id"]
    runs: Any = sync_remote.runs
    asked = runs.wait(thread, "hitl", input={"question": "q"})
    assert asked["__interrupt__"][0]["value"] == {"question": "q"}
    parts = list(runs.stream(thread, "hitl", command={"resume": "yes"}, stream_mode=["updates"]))
    assert [part.event for part in parts] == ["metadata", "updates", "updates"]
    assert sync_remote.threads.get_state(thread)["values"] == {"question": "q", "answer": "got yes"}
    assert len(sync_remote.threads.get_history(thread, limit=2)) == 2
    assert [row["thread_id"] for row in sync_remote.threads.search(metadata={"sync": True})] == [thread]
    sync_remote.threads.delete(thread)
    with pytest.raises(NotFoundError):
        sync_remote.threads.get(thread)


@covers("walk.sync", "stream.live")
def test_frames_arrive_live_without_async(sync_remote: SyncLangGraphClient, door: Door) -> None:
    nodes: list[str] = []
    for part in sync_remote.runs.stream(None, "door", input={"log": [], "door": door.name}, stream_mode="updates"):
        if part.event == "updates":
            nodes.extend(part.data)
            door.open()
    assert nodes == ["before", "wait"]


@covers("walk.sync", "cancel.wait")
def test_a_run_is_cancelled_without_async(sync_remote: SyncLangGraphClient, door: Door) -> None:
    thread = sync_remote.threads.create()["thread_id"]
    run = sync_remote.runs.create(thread, "door", input={"log": [], "door": door.name})
    door.wait_until_reached()
    sync_remote.runs.cancel(thread, run["run_id"], wait=True)
    assert sync_remote.runs.get(thread, run["run_id"])["status"] == "interrupted"


@covers("walk.sync")
def test_assistants_and_items_without_async(sync_remote: SyncLangGraphClient) -> None:
    made = sync_remote.assistants.create("echo", name="sync")
    assert sync_remote.assistants.get(made["assistant_id"]) == made
    sync_remote.store.put_item(["sync"], key="k", value={"n": 1})
    assert sync_remote.store.get_item(["sync"], key="k")["value"] == {"n": 1}
