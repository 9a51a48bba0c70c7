from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError

from tests.protocol.doors import Door
from tests.protocol.requirements import covers
from tests.protocol.talking import final, history_of, new_thread, started, state_of, thread_of

HISTORY: Any = [
    {"updates": [{"values": {"log": ["start"]}, "as_node": "__start__"}]},
    {"updates": [{"values": {"log": ["a"]}, "as_node": "a"}]},
]


@covers("threads.create")
async def test_a_new_thread_is_idle_and_has_its_metadata(client: LangGraphClient) -> None:
    made: Any = await client.threads.create(metadata={"owner": "me"}, graph_id="echo")
    assert made["status"] == "idle"
    assert made["metadata"] == {"owner": "me", "graph_id": "echo"}
    assert await client.threads.get(made["thread_id"]) == made


@covers("threads.create.id")
async def test_a_thread_takes_the_id_it_is_given(client: LangGraphClient) -> None:
    wanted = str(uuid4())
    assert await new_thread(client, thread_id=wanted) == wanted


@covers("threads.create.if_exists")
async def test_a_taken_id_is_a_conflict_or_gives_what_is_there(client: LangGraphClient) -> None:
    first = await client.threads.create(thread_id="taken", metadata={"n": 1})
    with pytest.raises(ConflictError, match="taken"):
        await client.threads.create(thread_id="taken", metadata={"n": 2})
    there = await client.threads.create(thread_id="taken", metadata={"n": 2}, if_exists="do_nothing")
    assert there == first


@covers("threads.create.supersteps")
async def test_a_thread_can_be_made_with_a_history(client: LangGraphClient) -> None:
    made: Any = await client.threads.create(graph_id="steps", supersteps=HISTORY)
    assert made["values"] == {"log": ["start", "a"]}
    assert made["status"] == "interrupted"
    states = await history_of(client, made["thread_id"])
    assert [(state["values"], state["next"]) for state in states] == [
        ({"log": ["start", "a"]}, ["b"]),
        ({"log": ["start"]}, ["a"]),
    ]
    assert await final(client, made["thread_id"], "steps") == {"log": ["start", "a", "b", "c"]}


@covers("threads.create.supersteps")
async def test_a_superstep_may_be_a_command(client: LangGraphClient) -> None:
    jump: Any = {"updates": [{"values": None, "command": {"update": {"log": ["jumped"]}, "goto": "c"}, "as_node": "a"}]}
    made = await client.threads.create(graph_id="steps", supersteps=[HISTORY[0], jump])
    state = await state_of(client, made["thread_id"])
    assert state["values"] == {"log": ["start", "jumped"]}
    assert "c" in state["next"]


@covers("threads.create.supersteps")
async def test_a_history_that_cannot_be_leaves_no_thread(client: LangGraphClient) -> None:
    with pytest.raises(BadRequestError):
        await client.threads.create(thread_id="mine", supersteps=HISTORY)
    wrong: Any = [{"updates": [{"values": {"log": []}, "as_node": "nobody"}]}]
    with pytest.raises(BadRequestError):
        await client.threads.create(thread_id="mine", graph_id="steps", supersteps=wrong)
    with pytest.raises(NotFoundError):
        await client.threads.get("mine")


@covers("threads.create.invalid")
@pytest.mark.parametrize("body", [{"metadata": "x"}, {"if_exists": "shrug"}, {"supersteps": [{}]}, {"thread_id": 7}])
async def test_values_that_do_not_fit_are_refused(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await http.post("/threads", json=body)).status_code == 422


@covers("threads.ttl")
async def test_a_ttl_is_checked_and_not_acted_upon(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client, ttl={"ttl": 0.0001, "strategy": "delete"})
    await client.threads.update(thread, metadata={}, ttl={"ttl": 0.0001, "strategy": "keep_latest"})
    assert (await thread_of(client, thread))["thread_id"] == thread
    for wrong in (5, {"strategy": "delete"}, {"ttl": 5, "strategy": "burn"}):
        assert (await http.post("/threads", json={"ttl": wrong})).status_code == 422
        assert (await http.patch(f"/threads/{thread}", json={"ttl": wrong})).status_code == 422


@covers("threads.fresh")
async def test_before_the_first_run_there_is_nothing_to_show(client: LangGraphClient) -> None:
    row = await thread_of(client, await new_thread(client))
    assert row["values"] is None
    assert row["config"] == {}
    assert row.keys().isdisjoint({"error", "interrupts"})


@covers("threads.get.unknown")
async def test_an_unknown_thread_is_not_found(client: LangGraphClient) -> None:
    with pytest.raises(NotFoundError):
        await client.threads.get(str(uuid4()))


@covers("threads.get.include")
async def test_include_is_accepted(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    assert (await client.threads.get(thread, params={"include": "ttl"}))["thread_id"] == thread


@covers("threads.patch")
async def test_a_change_merges_metadata_and_moves_updated_at_alone(client: LangGraphClient) -> None:
    before = await client.threads.create(metadata={"a": 1, "b": 1})
    after: Any = await client.threads.update(before["thread_id"], metadata={"b": 2})
    assert after["metadata"] == {"a": 1, "b": 2}
    assert after["updated_at"] > before["updated_at"]
    assert after["state_updated_at"] == before["state_updated_at"]  # type: ignore[typeddict-item] # the client's type lacks it


@covers("threads.patch.minimal")
async def test_a_client_may_do_without_the_answer(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    threads: Any = client.threads
    assert await threads.update(thread, metadata={"a": 1}, return_minimal=True) is None
    assert (await thread_of(client, thread))["metadata"] == {"a": 1}


@covers("threads.patch.unknown")
async def test_changing_an_unknown_thread_is_not_found(client: LangGraphClient) -> None:
    with pytest.raises(NotFoundError):
        await client.threads.update(str(uuid4()), metadata={})


@covers("threads.status")
async def test_a_thread_is_busy_while_a_run_runs_and_then_idle(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    run = await started(client, thread, "door", {"door": door.name})
    assert (await thread_of(client, thread))["status"] == "busy"
    await door.reached()
    assert (await thread_of(client, thread))["status"] == "busy"
    door.open()
    await client.runs.join(thread, run["run_id"])
    assert (await thread_of(client, thread))["status"] == "idle"


@covers("threads.status")
@pytest.mark.parametrize(
    ("graph", "given", "status"),
    [("hitl", {}, "interrupted"), ("gate", {"log": []}, "interrupted"), ("failing", {}, "error"), ("echo", {}, "idle")],
)
async def test_the_last_run_decides_how_a_thread_stands(
    client: LangGraphClient, graph: str, given: Any, status: str
) -> None:
    thread = await new_thread(client)
    await final(client, thread, graph, given)
    assert (await thread_of(client, thread))["status"] == status


@covers("threads.values")
async def test_the_row_shows_the_values_when_a_run_has_ended(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    run = await started(client, thread, "door", {"door": door.name})
    await door.reached()
    assert (await thread_of(client, thread))["values"] is None
    door.open()
    await client.runs.join(thread, run["run_id"])
    assert (await thread_of(client, thread))["values"] == {"log": ["before", "behind"], "door": door.name}


@covers("threads.interrupts")
async def test_interrupts_are_listed_by_task(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "ask_twice", {"answers": []})
    tasks = {task["id"]: task["interrupts"] for task in (await state_of(client, thread))["tasks"]}
    shown = (await thread_of(client, thread))["interrupts"]
    assert shown == tasks
    assert sorted(one["value"] for found in shown.values() for one in found) == ["left", "right"]


@covers("threads.interrupts")
async def test_a_static_interrupt_asks_nothing(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "gate", {"log": []})
    assert (await thread_of(client, thread))["interrupts"] == {}


@covers("threads.error")
async def test_the_error_of_the_last_run_is_shown_until_the_next(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "failing", {"content": "x"})
    assert (await thread_of(client, thread))["error"] == {"error": "ValueError", "message": "boom: fine"}
    await final(client, thread, "echo", {"content": "x"})
    assert (await thread_of(client, thread))["error"] is None


@covers("threads.after_run")
async def test_the_metadata_names_the_graph_and_assistant_of_the_last_run(client: LangGraphClient) -> None:
    assistant = (await client.assistants.create("steps"))["assistant_id"]
    thread = await new_thread(client, metadata={"mine": True})
    await final(client, thread, "echo", {"content": "x"})
    await final(client, thread, assistant, {"log": []}, config={"tags": ["t"]})
    row = await thread_of(client, thread)
    assert row["metadata"] == {"mine": True, "graph_id": "steps", "assistant_id": assistant}
    assert row["config"] == {"configurable": {}, "tags": ["t"]}


@covers("threads.search")
async def test_search_filters(client: LangGraphClient) -> None:
    fresh = await new_thread(client, metadata={"k": 1, "deep": {"er": [1]}})
    ran = await new_thread(client, metadata={"k": 2})
    failed = await new_thread(client, metadata={"k": 2})
    await final(client, ran, "echo", {"content": "x"})
    await final(client, failed, "failing", {})

    async def found(**wanted: Any) -> set[str]:
        return {row["thread_id"] for row in await client.threads.search(**wanted)}

    assert await found() == {fresh, ran, failed}
    assert await found(metadata={"k": 2}) == {ran, failed}
    assert await found(metadata={"deep": {"er": [1]}}) == {fresh}
    assert await found(metadata={"graph_id": "echo"}) == {ran}
    assert await found(values={"content": "echo: x"}) == {ran}
    assert await found(status="error") == {failed}
    assert await found(status="busy") == set()
    assert await found(ids=[fresh, ran, "unknown"]) == {fresh, ran}
    assert await found(ids=[fresh, ran], metadata={"k": 2}, status="idle") == {ran}


@covers("threads.search")
async def test_search_comes_in_pages(client: LangGraphClient) -> None:
    made = [await new_thread(client) for _ in range(5)]
    pages = [await client.threads.search(limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[row["thread_id"] for row in page] for page in pages] == [
        [made[4], made[3]],
        [made[2], made[1]],
        [made[0]],
        [],
    ]


@covers("threads.search.sort")
async def test_search_sorts_by_any_column(client: LangGraphClient) -> None:
    for name in ("b", "c", "a"):
        await new_thread(client, thread_id=name)
    await client.threads.update("c", metadata={"touched": True})
    await final(client, "b", "failing", {})

    async def order(**options: Any) -> str:
        return "".join(row["thread_id"] for row in await client.threads.search(**options))

    assert await order() == "bca"
    assert await order(sort_by="created_at") == "acb"
    assert await order(sort_by="created_at", sort_order="asc") == "bca"
    assert await order(sort_by="thread_id", sort_order="asc") == "abc"
    assert await order(sort_by="updated_at", sort_order="asc") == "acb"
    assert (await order(sort_by="state_updated_at", sort_order="desc"))[0] == "b"
    assert (await order(sort_by="status", sort_order="asc"))[0] == "b"


@covers("threads.search.select")
async def test_search_gives_the_columns_asked_for(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    rows: Any = await client.threads.search(select=["thread_id", "status"])
    assert rows == [{"thread_id": thread, "status": "idle"}]
    with pytest.raises(UnprocessableEntityError):
        await client.threads.search(select=["colour"])  # type: ignore[list-item] # the mistake


@covers("threads.search.extract")
async def test_search_picks_values_out_of_threads(client: LangGraphClient) -> None:
    thread = await new_thread(client, metadata={"tag": "t"})
    await final(client, thread, "steps", {"log": ["x"]})
    paths = {"first": "values.log[0]", "last": "values.log[-1]", "tag": "metadata.tag", "no": "values.no.such[3]"}
    (row,) = await client.threads.search(extract=paths, select=["thread_id"])
    assert row["extracted"] == {"first": "x", "last": "c", "tag": "t", "no": None}
    with pytest.raises(UnprocessableEntityError):
        await client.threads.search(extract={"no": "secrets.key"})


@covers("threads.search.null_values")
async def test_a_filter_on_values_passes_over_threads_without_values(client: LangGraphClient) -> None:
    await new_thread(client)
    assert await client.threads.search(values={"content": "x"}) == []


@covers("threads.count")
async def test_count_takes_the_filters_of_search(client: LangGraphClient) -> None:
    thread = await new_thread(client, metadata={"k": 1})
    await new_thread(client, metadata={"k": 2})
    await final(client, thread, "echo", {"content": "x"})
    assert await client.threads.count() == 2
    assert await client.threads.count(metadata={"k": 1}) == 1
    assert await client.threads.count(values={"content": "echo: x"}) == 1
    assert await client.threads.count(status="interrupted") == 0


async def copied(http: httpx.AsyncClient, thread: str) -> dict[str, Any]:
    made: dict[str, Any] = (await http.post(f"/threads/{thread}/copy")).json()
    return made


@covers("threads.copy")
async def test_a_copy_has_the_metadata_and_the_checkpoints(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client, metadata={"k": 1})
    await final(client, thread, "steps", {"log": ["x"]})
    copy = await copied(http, thread)
    assert copy["thread_id"] != thread
    assert copy["metadata"]["k"] == 1
    assert copy["status"] == "idle"
    assert "values" not in copy
    theirs, ours = await history_of(client, copy["thread_id"]), await history_of(client, thread)
    assert [state["values"] for state in theirs] == [state["values"] for state in ours]
    assert {state["checkpoint"]["thread_id"] for state in theirs} == {copy["thread_id"]}
    assert {state["metadata"]["thread_id"] for state in theirs} == {copy["thread_id"]}


@covers("threads.copy.apart")
async def test_a_copy_goes_its_own_way(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "hitl", {"question": "q"})
    copy = (await copied(http, thread))["thread_id"]
    await final(client, copy, "hitl", command={"resume": "yes"})
    assert (await state_of(client, copy))["values"]["answer"] == "got yes"
    assert (await state_of(client, thread))["next"] == ["ask"]
    await client.threads.delete(thread)
    assert (await state_of(client, copy))["values"]["answer"] == "got yes"


@covers("threads.copy.unknown")
async def test_copying_an_unknown_thread_is_a_conflict(client: LangGraphClient) -> None:
    with pytest.raises(ConflictError):
        await client.threads.copy(str(uuid4()))


@covers("threads.prune")
async def test_pruning_deletes_the_threads_named(client: LangGraphClient) -> None:
    gone, left = await new_thread(client), await new_thread(client)
    assert await client.threads.prune([gone, gone, "unknown"]) == {"pruned_count": 1}
    assert await client.threads.prune([]) == {"pruned_count": 0}
    assert [row["thread_id"] for row in await client.threads.search()] == [left]
    with pytest.raises(UnprocessableEntityError):
        await client.threads.prune([left], strategy="burn")  # type: ignore[arg-type] # the mistake


@covers("threads.prune.keep_latest")
async def test_pruning_can_leave_the_latest_checkpoint(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "steps", {"log": ["x"]})
    before = await state_of(client, thread)
    assert await client.threads.prune([thread], strategy="keep_latest") == {"pruned_count": 1}
    assert len(await history_of(client, thread)) == 1
    assert (await state_of(client, thread))["values"] == before["values"]


@covers("threads.delete")
async def test_a_removed_thread_is_gone_with_its_state(client: LangGraphClient) -> None:
    await new_thread(client, thread_id="mine")
    await final(client, "mine", "echo", {"content": "x"})
    await client.threads.delete("mine")
    for again in (client.threads.get, client.threads.get_state, client.threads.delete):
        with pytest.raises(NotFoundError):
            await again("mine")
    await new_thread(client, thread_id="mine")
    assert await history_of(client, "mine") == []
    assert await client.runs.list("mine") == []


@covers("threads.delete.running")
async def test_removing_a_thread_ends_what_runs_on_it(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    running = await started(client, thread, "door", {"door": door.name})
    waiting = await started(client, thread, "door", {"door": door.name})
    await door.reached()
    await client.threads.delete(thread)
    for run in (running, waiting):
        with pytest.raises(NotFoundError):
            await client.runs.get(thread, run["run_id"])
