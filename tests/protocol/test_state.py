from itertools import pairwise
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, NotFoundError, UnprocessableEntityError

from tests.protocol.requirements import covers
from tests.protocol.talking import HELLO, final, history_of, new_thread, started, state_of, thread_of

NOTHING: dict[str, Any] = {"values": {}, "next": [], "tasks": [], "interrupts": []}


async def stepped(client: LangGraphClient) -> tuple[str, list[dict[str, Any]]]:
    """A thread on which steps have run, and its history: c, b, a, start, input."""
    thread = await new_thread(client)
    await final(client, thread, "steps", {"log": ["x"]})
    return thread, await history_of(client, thread)


@covers("state.empty")
async def test_a_thread_without_checkpoints_has_an_empty_state(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    state = await state_of(client, thread)
    assert {key: state[key] for key in NOTHING} == NOTHING
    assert {state[key] for key in ("metadata", "created_at", "checkpoint", "parent_checkpoint")} == {None}
    assert await history_of(client, thread) == []


@covers("state.unknown_thread")
async def test_the_state_of_an_unknown_thread_is_not_found(client: LangGraphClient) -> None:
    unknown = str(uuid4())
    with pytest.raises(NotFoundError):
        await client.threads.get_state(unknown)
    with pytest.raises(NotFoundError):
        await client.threads.get_history(unknown)
    with pytest.raises(NotFoundError):
        await client.threads.update_state(unknown, {})


@covers("state.get")
async def test_a_state_tells_where_the_thread_stands(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "hitl", {"question": "q"})
    state = await state_of(client, thread)
    assert (state["values"], state["next"]) == ({"question": "q"}, ["ask"])
    (task,) = state["tasks"]
    assert (task["name"], task["path"], task["error"], task["result"]) == ("ask", ["__pregel_pull", "ask"], None, None)
    assert task["interrupts"] == state["interrupts"]
    assert state["interrupts"][0]["value"] == {"question": "q"}
    assert state["checkpoint"]["thread_id"] == thread
    assert state["checkpoint"]["checkpoint_id"] == state["checkpoint_id"]
    assert state["parent_checkpoint"]["checkpoint_id"] == state["parent_checkpoint_id"]


@covers("state.get")
async def test_a_failed_task_tells_its_error(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "failing", {})
    (task,) = (await state_of(client, thread))["tasks"]
    assert task["error"] == "ValueError('boom: fine')"


@covers("state.metadata")
async def test_a_checkpoint_remembers_its_run(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    run = await started(client, thread, "echo", {"content": "x"}, metadata={"mine": 1})
    await client.runs.join(thread, run["run_id"])
    metadata = (await state_of(client, thread))["metadata"]
    expected = {
        "run_id": run["run_id"],
        "thread_id": thread,
        "graph_id": "echo",
        "assistant_id": run["assistant_id"],
        "created_by": "system",
        "mine": 1,
        "source": "loop",
        "step": 1,
        "parents": {},
    }
    assert {key: metadata.get(key) for key in expected} == expected


@covers("state.metadata.parent")
async def test_an_edited_checkpoint_names_its_parent(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    await client.threads.update_state(thread, {"log": ["u"]}, as_node="a", checkpoint=history[2]["checkpoint"])
    state = await state_of(client, thread)
    assert state["parent_checkpoint"] == history[2]["checkpoint"]
    assert "checkpoint_id" not in state["metadata"]


@covers("state.at_checkpoint")
async def test_a_state_can_be_read_at_a_checkpoint(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    by_id = await state_of(client, thread, checkpoint_id=history[2]["checkpoint_id"])
    by_place = await state_of(client, thread, checkpoint=history[2]["checkpoint"])
    assert by_place == history[2]
    assert {**by_id, "checkpoint": by_place["checkpoint"]} == by_place
    assert by_id["checkpoint"].items() <= by_place["checkpoint"].items()
    assert by_id["values"] == {"log": ["x", "a"]}


@covers("state.at_checkpoint")
async def test_a_place_must_be_given(http: httpx.AsyncClient, client: LangGraphClient) -> None:
    thread = await new_thread(client)
    assert (await http.post(f"/threads/{thread}/state/checkpoint", json={})).status_code == 422


@covers("state.unknown_checkpoint")
@pytest.mark.parametrize("unknown", [str(uuid4()), "no-uuid"])
async def test_an_unknown_checkpoint_is_an_empty_state(client: LangGraphClient, unknown: str) -> None:
    thread, _ = await stepped(client)
    state = await state_of(client, thread, checkpoint_id=unknown)
    assert {key: state[key] for key in NOTHING} == NOTHING
    assert state["checkpoint_id"] == unknown


@covers("state.subgraphs")
async def test_the_state_of_a_subgraph_is_shown_in_its_task(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "parent", {"log": []})
    (at_child,) = [state for state in await history_of(client, thread) if state["next"] == ["child"]]
    (task,) = at_child["tasks"]
    assert task["state"] is None
    assert task["checkpoint"] == {"thread_id": thread, "checkpoint_ns": f"child:{task['id']}"}


@covers("state.subgraphs")
async def test_a_subgraph_that_stands_still_shows_its_state(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "outer", {"question": "q"})
    assert (await state_of(client, thread))["tasks"][0]["state"] is None
    (task,) = (await state_of(client, thread, subgraphs=True))["tasks"]
    assert task["state"]["next"] == ["ask"]
    assert task["state"]["values"] == {"question": "q"}
    assert task["state"]["checkpoint"]["checkpoint_ns"] == f"inner:{task['id']}"


@covers("state.select")
async def test_only_the_parts_asked_for_are_sent(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    wanted: dict[str, Any] = {"select": ["values", "next"]}
    parts = {"values": {"log": ["x", "a", "b", "c"]}, "next": []}
    assert await state_of(client, thread, **wanted) == parts
    assert await state_of(client, thread, checkpoint_id=history[0]["checkpoint_id"], **wanted) == parts
    assert await state_of(client, thread, checkpoint=history[0]["checkpoint"], **wanted) == parts


@covers("state.update")
async def test_an_update_counts_as_what_a_node_returned(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    where: Any = await client.threads.update_state(thread, {"log": ["u"]}, as_node="a")
    state = await state_of(client, thread)
    assert where["checkpoint"] == state["checkpoint"]
    assert where["checkpoint_id"] == state["checkpoint_id"]
    assert (state["values"], state["next"]) == ({"log": ["x", "a", "b", "c", "u"]}, ["b"])
    assert state["metadata"]["source"] == "update"
    assert state["parent_checkpoint"] == history[0]["checkpoint"]
    assert await final(client, thread, "steps") == {"log": ["x", "a", "b", "c", "u", "b", "c"]}


@covers("state.update")
async def test_an_update_without_a_node_is_the_last_ones(client: LangGraphClient) -> None:
    thread, _ = await stepped(client)
    await client.threads.update_state(thread, {"log": ["u"]})
    state = await state_of(client, thread)
    assert (state["values"]["log"][-1], state["next"]) == ("u", [])


@covers("state.update.reducers")
async def test_a_message_of_the_same_id_is_replaced(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "chat", HELLO)
    await client.threads.update_state(thread, {"messages": [{"role": "user", "content": "hello", "id": "u1"}]})
    messages = (await state_of(client, thread))["values"]["messages"]
    assert [message["id"] for message in messages] == ["u1", "ai-1"]
    assert messages[0]["content"] == "hello"


@covers("state.update.null")
async def test_null_values_only_move_on(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "gate", {"log": []})
    await client.threads.update_state(thread, None, as_node="c")
    state = await state_of(client, thread)
    assert (state["values"], state["next"]) == ({"log": ["a"]}, [])
    assert (await thread_of(client, thread))["status"] == "idle"


@covers("state.update.fork")
async def test_an_update_at_an_earlier_checkpoint_forks(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    place = history[2]["checkpoint"]
    forks: list[dict[str, Any]] = [{"checkpoint": place}, {"checkpoint_id": place["checkpoint_id"]}]
    for fork in forks:
        await client.threads.update_state(thread, {"log": ["fork"]}, as_node="a", **fork)
        state = await state_of(client, thread)
        assert (state["values"], state["next"]) == ({"log": ["x", "a", "fork"]}, ["b"])
        assert state["parent_checkpoint_id"] == place["checkpoint_id"]


@covers("state.update.shows")
async def test_the_thread_shows_an_update(client: LangGraphClient) -> None:
    thread, _ = await stepped(client)
    before = await thread_of(client, thread)
    await client.threads.update_state(thread, {"log": ["u"]}, as_node="a")
    after = await thread_of(client, thread)
    assert after["values"] == {"log": ["x", "a", "b", "c", "u"]}
    assert after["status"] == "interrupted"
    assert after["state_updated_at"] > before["state_updated_at"]


@covers("state.update.refused")
async def test_updates_that_cannot_be_are_refused(client: LangGraphClient) -> None:
    thread, _ = await stepped(client)
    with pytest.raises(BadRequestError, match="nobody"):
        await client.threads.update_state(thread, {"log": ["u"]}, as_node="nobody")
    with pytest.raises(UnprocessableEntityError):
        await client.threads.update_state(thread, "text", as_node="a")  # type: ignore[arg-type] # the mistake
    with pytest.raises(BadRequestError, match="graph"):
        await client.threads.update_state(await new_thread(client), {"log": ["u"]})
    assert (await state_of(client, thread))["values"] == {"log": ["x", "a", "b", "c"]}


@covers("state.patch")
async def test_metadata_can_be_merged_through_the_state(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client, metadata={"a": 1})
    await http.patch(f"/threads/{thread}/state", json={"metadata": {"b": 2}})
    assert (await thread_of(client, thread))["metadata"] == {"a": 1, "b": 2}


@covers("history.order")
async def test_history_is_newest_first_and_tells_parents(client: LangGraphClient) -> None:
    _, history = await stepped(client)
    assert [state["metadata"]["step"] for state in history] == [3, 2, 1, 0, -1]
    assert [state["next"] for state in history] == [[], ["c"], ["b"], ["a"], ["__start__"]]
    assert [state["metadata"]["source"] for state in history] == ["loop"] * 4 + ["input"]
    for child, parent in pairwise(history):
        assert child["parent_checkpoint"] == parent["checkpoint"]
    assert history[-1]["parent_checkpoint"] is None


@covers("history.limit")
async def test_history_is_ten_states_unless_asked_for_otherwise(
    client: LangGraphClient, http: httpx.AsyncClient
) -> None:
    thread = await new_thread(client)
    for _ in range(3):
        await final(client, thread, "steps", {"log": []})
    path = f"/threads/{thread}/history"
    assert len((await http.get(path)).json()) == 10
    assert len((await http.post(path, json={})).json()) == 10
    assert len((await http.get(path, params={"limit": 2})).json()) == 2
    assert len(await history_of(client, thread, limit=1000)) == 15


@covers("history.limit.range")
@pytest.mark.parametrize("limit", [0, 1001, -1])
async def test_a_limit_out_of_range_is_refused(http: httpx.AsyncClient, client: LangGraphClient, limit: int) -> None:
    path = f"/threads/{await new_thread(client)}/history"
    assert (await http.get(path, params={"limit": limit})).status_code == 422
    assert (await http.post(path, json={"limit": limit})).status_code == 422


@covers("history.before")
async def test_history_goes_on_before_a_checkpoint(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread, history = await stepped(client)
    earlier = history[3:]
    checkpoint_id = history[2]["checkpoint_id"]
    path = f"/threads/{thread}/history"
    assert (await http.get(path, params={"before": checkpoint_id})).json() == earlier
    assert await history_of(client, thread, before=checkpoint_id) == earlier
    config = {"configurable": {"checkpoint_id": checkpoint_id}}
    assert (await http.post(path, json={"before": config})).json() == earlier
    assert await history_of(client, thread, before=history[-1]["checkpoint_id"]) == []


@covers("history.before.flat")
async def test_before_may_be_a_flat_place(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    assert await history_of(client, thread, before=history[2]["checkpoint"]) == history[3:]


@covers("history.metadata")
async def test_history_can_be_filtered_by_metadata(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    assert await history_of(client, thread, metadata={"step": 1}) == [history[2]]
    assert await history_of(client, thread, metadata={"source": "input"}) == [history[4]]
    assert await history_of(client, thread, metadata={"source": "update"}) == []


@covers("history.checkpoint")
async def test_history_can_start_at_a_checkpoint(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    assert (await history_of(client, thread, checkpoint=history[2]["checkpoint"]))[0] == history[2]


@covers("history.select")
async def test_only_the_parts_of_history_asked_for_are_sent(client: LangGraphClient) -> None:
    thread, _ = await stepped(client)
    assert await history_of(client, thread, limit=2, select=["next"]) == [{"next": []}, {"next": ["c"]}]


@covers("travel.replay")
async def test_a_run_goes_on_from_a_checkpoint(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    checkpoint_id = history[2]["checkpoint_id"]
    assert await final(client, thread, "steps", checkpoint_id=checkpoint_id) == {"log": ["x", "a", "b", "c"]}
    after = await history_of(client, thread, limit=100)
    assert [state["next"] for state in after[:2]] == [[], ["c"]]
    assert len(after) > len(history)
    assert {state["checkpoint_id"] for state in history} <= {state["checkpoint_id"] for state in after}


@covers("travel.fork")
async def test_a_run_with_input_branches_off_at_a_checkpoint(client: LangGraphClient) -> None:
    thread, history = await stepped(client)
    values = await final(client, thread, "steps", {"log": ["in"]}, checkpoint=history[2]["checkpoint"])
    assert values == {"log": ["x", "a", "in", "a", "b", "c"]}
    assert (await state_of(client, thread))["values"] == values


@covers("travel.invalid")
async def test_a_checkpoint_id_that_is_no_uuid_is_refused(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    for where in ({"checkpoint_id": "zzz"}, {"checkpoint": {"checkpoint_id": "zzz"}}):
        options: dict[str, Any] = dict(where)
        with pytest.raises(UnprocessableEntityError, match="checkpoint"):
            await started(client, thread, "steps", {}, **options)
