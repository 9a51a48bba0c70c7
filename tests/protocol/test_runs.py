from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from fast_graph import fastGraph
from tests.protocol.doors import Door, Doors
from tests.protocol.graphs import protocol_graphs
from tests.protocol.requirements import covers
from tests.protocol.serving import in_process, settings
from tests.protocol.talking import assistant_of, final, history_of, new_thread, started, state_of, thread_of


@covers("runs.create")
async def test_a_run_in_the_background_is_pending_at_first(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    told: list[Any] = []
    run = await started(client, thread, "echo", {"content": "x"}, on_run_created=told.append)
    assert run["status"] == "pending"
    assert told == [{"run_id": run["run_id"], "thread_id": thread}]
    assert await client.runs.join(thread, run["run_id"]) == {"content": "echo: x"}
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "success"


@covers("runs.record")
async def test_a_run_shows_what_it_was_given(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    given: dict[str, Any] = {
        "stream_mode": ["values", "updates"],
        "interrupt_before": ["b"],
        "interrupt_after": "*",
        "durability": "exit",
        "multitask_strategy": "interrupt",
        "metadata": {"mine": 1},
        "after_seconds": 60,
    }
    run: Any = await started(client, thread, "steps", {"log": ["x"]}, **given, stream_subgraphs=True)
    kwargs = run["kwargs"]
    same = ("stream_mode", "interrupt_before", "interrupt_after", "durability")
    assert {key: kwargs[key] for key in same} == {key: given[key] for key in same}
    assert (kwargs["input"], kwargs["command"], kwargs["subgraphs"], kwargs["temporary"]) == (
        {"log": ["x"]},
        None,
        True,
        False,
    )
    assert run["multitask_strategy"] == "interrupt"
    assert run["metadata"]["mine"] == 1
    assert run["created_at"] == run["updated_at"]
    assert await client.runs.get(thread, run["run_id"]) == run


@covers("runs.assistant")
async def test_a_run_takes_a_uuid_or_a_graphs_name(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    made = (await assistant_of(client))["assistant_id"]
    for reference in ("echo", made):
        assert await final(client, thread, reference, {"content": "x"}) == {"content": "echo: x"}
    with pytest.raises(UnprocessableEntityError):
        await started(client, thread, "no-such-graph")
    with pytest.raises(NotFoundError):
        await started(client, thread, str(uuid4()))


@covers("runs.unknown_thread")
async def test_a_run_on_an_unknown_thread_is_not_found(client: LangGraphClient) -> None:
    unknown = str(uuid4())
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await final(client, unknown, "echo", {})
    for options in ({}, {"if_not_exists": "reject"}):
        with pytest.raises(NotFoundError):
            await started(client, unknown, "echo", {}, **options)
    with pytest.raises(NotFoundError):
        await client.runs.list(unknown)


@covers("runs.if_not_exists")
async def test_the_thread_is_made_on_request(client: LangGraphClient) -> None:
    assert await final(client, "mine", "echo", {"content": "x"}, if_not_exists="create") == {"content": "echo: x"}
    assert (await thread_of(client, "mine"))["values"] == {"content": "echo: x"}


@covers("runs.validation")
@pytest.mark.parametrize(
    "body",
    [
        {"assistant_id": None},
        {"stream_mode": "bogus"},
        {"stream_mode": ["values", "bogus"]},
        {"multitask_strategy": "bogus"},
        {"durability": "bogus"},
        {"if_not_exists": "bogus"},
        {"config": "bogus"},
        {"config": {"recursion_limit": 0}},
        {"context": []},
        {"metadata": "bogus"},
        {"command": "bogus"},
        {"after_seconds": "bogus"},
        {"interrupt_before": "b"},
        {"interrupt_after": [1]},
        {"stream_subgraphs": "bogus"},
        {"stream_resumable": "bogus"},
        {"checkpoint": "bogus"},
        {"feedback_keys": "bogus"},
    ],
)
async def test_values_that_do_not_fit_are_refused(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    response = await http.post("/threads/t/runs", json={"assistant_id": "echo", **body})
    assert response.status_code == 422
    assert next(iter(body)) in response.json()["detail"]
    assert (await http.get("/threads/t/runs")).json() == []


@covers("runs.input")
async def test_input_is_what_the_graph_begins_with(client: LangGraphClient) -> None:
    assert await final(client, await new_thread(client), "echo", {"content": "hi"}) == {"content": "echo: hi"}


@covers("runs.input.null")
async def test_null_goes_on_where_the_thread_is(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    assert await final(client, thread, "gate", {"log": ["x"]}) == {"log": ["x", "a"]}
    assert await final(client, thread, "gate", None) == {"log": ["x", "a", "b", "c"]}


@covers("runs.input.null")
async def test_a_fresh_thread_has_nothing_to_go_on_with(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    assert (await final(client, thread, "echo", None))["__error__"]["error"] == "EmptyInputError"
    assert (await thread_of(client, thread))["status"] == "error"


@covers("runs.interrupt_before")
@pytest.mark.parametrize(("where", "log"), [(["b"], ["a"]), ("*", []), (["a", "c"], [])])
async def test_a_run_stops_before_nodes(client: LangGraphClient, where: Any, log: list[str]) -> None:
    thread = await new_thread(client)
    assert (await final(client, thread, "steps", {"log": []}, interrupt_before=where))["log"] == log
    assert await final(client, thread, "steps") == {"log": ["a", "b", "c"]}


@covers("runs.interrupt_after")
@pytest.mark.parametrize(("where", "log"), [(["b"], ["a", "b"]), ("*", ["a"])])
async def test_a_run_stops_after_nodes(client: LangGraphClient, where: Any, log: list[str]) -> None:
    thread = await new_thread(client)
    assert (await final(client, thread, "steps", {"log": []}, interrupt_after=where))["log"] == log
    assert await final(client, thread, "steps") == {"log": ["a", "b", "c"]}


@covers("runs.after_seconds")
async def test_a_run_can_be_put_off(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    later = await started(client, thread, "echo", {"content": "later"}, after_seconds=3600)
    assert (await thread_of(client, thread))["status"] == "busy"
    assert await final(client, await new_thread(client), "echo", {"content": "now"}) == {"content": "echo: now"}
    assert (await client.runs.get(thread, later["run_id"]))["status"] == "pending"


@covers("runs.after_seconds")
async def test_a_run_that_was_put_off_starts_by_itself(client: LangGraphClient) -> None:
    values = await final(client, await new_thread(client), "echo", {"content": "x"}, after_seconds=0.1)
    assert values == {"content": "echo: x"}


@covers("runs.after_seconds.negative")
async def test_a_negative_delay_is_refused(client: LangGraphClient) -> None:
    with pytest.raises(UnprocessableEntityError, match="after_seconds"):
        await started(client, await new_thread(client), "echo", {}, after_seconds=-1)


@covers("runs.durability")
@pytest.mark.parametrize(
    ("option", "states"),
    [
        ({"durability": "exit"}, 1),
        ({"checkpoint_during": False}, 1),
        ({"durability": "sync"}, 5),
        ({"durability": "async"}, 5),
        ({"checkpoint_during": True}, 5),
        ({}, 5),
    ],
)
async def test_durability_decides_what_is_kept(
    client: LangGraphClient, http: httpx.AsyncClient, option: dict[str, Any], states: int
) -> None:
    thread = await new_thread(client)
    body = {"assistant_id": "steps", "input": {"log": []}, **option}
    assert (await http.post(f"/threads/{thread}/runs/wait", json=body)).json() == {"log": ["a", "b", "c"]}
    history = await history_of(client, thread, limit=100)
    assert (len(history), history[0]["values"]) == (states, {"log": ["a", "b", "c"]})


@covers("runs.feedback_keys")
async def test_feedback_keys_are_kept_with_the_run(http: httpx.AsyncClient) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    body = {"assistant_id": "echo", "input": {}, "feedback_keys": ["score"]}
    run = (await http.post("/threads/t/runs", json=body)).json()
    assert run["kwargs"]["feedback_keys"] == ["score"]
    streamed = await http.post("/threads/t/runs/stream", json=body)
    assert "event: error" not in streamed.text


@covers("runs.webhook")
async def test_a_webhook_is_refused(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    with pytest.raises(UnprocessableEntityError, match="webhook"):
        await started(client, thread, "echo", {}, webhook="https://hooks.example/run")
    assert await client.runs.list(thread) == []


@covers("runs.tracing_fields")
async def test_tracing_fields_are_accepted(client: LangGraphClient) -> None:
    options: dict[str, Any] = {"strict_resume": True, "langsmith_tracing": {"project_name": "p", "example_id": "e"}}
    assert await final(client, None, "echo", {"content": "x"}, **options) == {"content": "echo: x"}


@covers("runs.get")
async def test_an_unknown_run_is_not_found(client: LangGraphClient) -> None:
    thread, other = await new_thread(client), await new_thread(client)
    run = await started(client, thread, "echo", {})
    for where, which in ((thread, str(uuid4())), (other, run["run_id"])):
        with pytest.raises(NotFoundError):
            await client.runs.get(where, which)


@covers("runs.list")
async def test_runs_come_newest_first_in_pages_by_status(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    await final(client, thread, "echo", {"content": "x"})
    await final(client, thread, "failing", {"content": "x"})
    last = await started(client, thread, "door", {"door": door.name})
    await door.reached()
    rows = await client.runs.list(thread)
    assert [row["status"] for row in rows] == ["running", "error", "success"]
    assert [row["run_id"] for row in await client.runs.list(thread, limit=1)] == [last["run_id"]]
    assert await client.runs.list(thread, limit=1, offset=1) == rows[1:2]
    assert await client.runs.list(thread, status="success") == rows[2:]
    assert await client.runs.list(thread, status="timeout") == []


@covers("runs.list.select", "runs.list.json_select")
async def test_runs_can_be_listed_by_columns(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "echo", {"content": "x"})
    wanted: Any = [{"status": "success", "multitask_strategy": "enqueue"}]
    assert await client.runs.list(thread, select=["status", "multitask_strategy"]) == wanted
    as_json = {"select": '["status","multitask_strategy"]'}
    assert (await http.get(f"/threads/{thread}/runs", params=as_json)).json() == wanted
    with pytest.raises(UnprocessableEntityError):
        await client.runs.list(thread, select=["colour"])  # type: ignore[list-item] # the mistake


@covers("runs.list.unknown_status")
async def test_an_unknown_status_matches_nothing(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "echo", {"content": "x"})
    assert await client.runs.list(thread, status="bogus") == []  # type: ignore[arg-type] # the mistake


@covers("runs.list.limit")
@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"offset": -1}])
async def test_a_page_out_of_range_is_refused(http: httpx.AsyncClient, query: dict[str, int]) -> None:
    await http.post("/threads", json={"thread_id": "t"})
    assert (await http.get("/threads/t/runs", params=query)).status_code == 422


@covers("runs.delete")
async def test_a_removed_run_is_gone(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "echo", {"content": "x"})
    (run,) = await client.runs.list(thread)
    await client.runs.delete(thread, run["run_id"])
    assert await client.runs.list(thread) == []
    for again in (client.runs.get, client.runs.delete):
        with pytest.raises(NotFoundError):
            await again(thread, run["run_id"])
    assert (await state_of(client, thread))["values"] == {"content": "echo: x"}


@covers("runs.delete.running")
async def test_removing_a_running_run_frees_its_thread(client: LangGraphClient, door: Door) -> None:
    thread = await new_thread(client)
    run = await started(client, thread, "door", {"door": door.name})
    await door.reached()
    await client.runs.delete(thread, run["run_id"])
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])
    assert (await thread_of(client, thread))["status"] != "busy"
    assert (await final(client, thread, "echo", {"content": "x"}))["content"] == "echo: x"


@covers("runs.wait")
async def test_wait_gives_the_final_values(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    assert await final(client, thread, "steps", {"log": ["x"]}) == {"log": ["x", "a", "b", "c"]}
    assert await final(client, thread, "steps", {"log": ["y"]}) == {"log": ["x", "a", "b", "c", "y", "a", "b", "c"]}


@covers("runs.wait.error", "runs.failed")
async def test_a_failed_run_gives_its_error_with_status_200(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    body = {"assistant_id": "failing", "input": {"content": "x"}}
    response = await http.post(f"/threads/{thread}/runs/wait", json=body)
    assert response.status_code == 200
    assert response.json() == {"__error__": {"error": "ValueError", "message": "boom: fine"}}
    with pytest.raises(Exception, match=r"^ValueError: boom: fine$"):
        await client.runs.wait(thread, "failing", input={})
    assert {run["status"] for run in await client.runs.list(thread)} == {"error"}


@covers("runs.masked")
async def test_the_message_of_an_unknown_exception_stays_here(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    error = (await final(client, thread, "strange", {"count": 1}))["__error__"]
    assert error["error"] == "StrangeError"
    assert "password" not in error["message"]
    assert "password" not in str(await thread_of(client, thread))


@covers("runs.wait.interrupt", "runs.success_at_interrupt")
async def test_a_run_that_asks_gives_its_values_and_its_question(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    values = await final(client, thread, "hitl", {"question": "q"})
    (asked,) = values["__interrupt__"]
    assert (values["question"], asked["value"]) == ("q", {"question": "q"})
    assert asked["id"] == (await state_of(client, thread))["interrupts"][0]["id"]
    (run,) = await client.runs.list(thread)
    assert run["status"] == "success"
    assert (await thread_of(client, thread))["status"] == "interrupted"


@covers("runs.wait.location")
async def test_wait_and_join_say_where_to_come_back_to(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    body = {"assistant_id": "echo", "input": {"content": "x"}}
    waited = await http.post(f"/threads/{thread}/runs/wait", json=body)
    (run,) = await client.runs.list(thread)
    path = f"/threads/{thread}/runs/{run['run_id']}"
    joined = await http.get(waited.headers["location"])
    for response in (waited, joined):
        assert response.headers["content-type"] == "application/json"
        assert (response.headers["location"], response.headers["content-location"]) == (f"{path}/join", path)
    assert joined.json() == waited.json()


@covers("runs.join")
async def test_join_of_a_finished_run_gives_what_the_thread_has_now(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    run = await started(client, thread, "echo", {"content": "1"})
    assert await client.runs.join(thread, run["run_id"]) == {"content": "echo: 1"}
    assert await client.runs.join(thread, run["run_id"]) == {"content": "echo: 1"}
    await final(client, thread, "echo", {"content": "2"})
    assert await client.runs.join(thread, run["run_id"]) == {"content": "echo: 2"}


@covers("runs.join.interrupted")
async def test_join_of_a_run_that_asked_gives_its_question_alone(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    (asked,) = (await final(client, thread, "hitl", {"question": "q"}))["__interrupt__"]
    (run,) = await client.runs.list(thread)
    joined = await client.runs.join(thread, run["run_id"])
    assert joined == {"__interrupt__": [{"id": asked["id"], "value": asked["value"]}]}


@covers("runs.join.error")
async def test_join_of_a_failed_run_gives_its_error(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    error = await final(client, thread, "failing", {})
    (run,) = await client.runs.list(thread)
    assert await client.runs.join(thread, run["run_id"]) == error


@covers("runs.join.unknown")
async def test_join_of_an_unknown_run_is_an_error_in_the_place_of_values(client: LangGraphClient) -> None:
    joined: Any = await client.runs.join(await new_thread(client), str(uuid4()))
    assert joined["__error__"]["error"] == "HTTPException"
    assert joined["__error__"]["message"].startswith("404")


@covers("runs.timeout")
async def test_a_run_beyond_its_time_ends_as_timeout(doors: Doors, door: Door) -> None:
    app = fastGraph(protocol_graphs(doors), settings=settings(run_timeout=0.05))
    async with in_process(app) as http:
        client = LangGraphClient(http)
        thread = await new_thread(client)
        assert (await final(client, thread, "door", {"door": door.name}))["__error__"]["error"] == "TimeoutError"
        (run,) = await client.runs.list(thread)
        assert run["status"] == "timeout"
        assert (await thread_of(client, thread))["status"] == "error"


@covers("stateless.wait")
async def test_a_run_without_a_thread_gives_its_values(client: LangGraphClient) -> None:
    assert await final(client, None, "echo", {"content": "x"}) == {"content": "echo: x"}
    assert (await final(client, None, "failing", {}))["__error__"]["error"] == "ValueError"
    assert await client.threads.search() == []


@covers("stateless.stream")
async def test_a_run_without_a_thread_streams(client: LangGraphClient) -> None:
    parts = [part async for part in client.runs.stream(None, "echo", input={"content": "x"}, stream_mode=["values"])]
    assert [part.event for part in parts] == ["metadata", "values", "values"]
    assert parts[-1].data == {"content": "echo: x"}


@covers("stateless.location")
async def test_the_locations_of_a_run_without_a_thread_lead_to_it(http: httpx.AsyncClient, door: Door) -> None:
    made = await http.post("/runs", json={"assistant_id": "door", "input": {"door": door.name}})
    await door.reached()
    path = f"/runs/{made.json()['run_id']}"
    assert made.headers["content-location"] == path
    assert (await http.get(path)).json()["status"] == "running"
    assert (await http.post(f"{path}/cancel", params={"wait": "true"})).json() == {}
    body = {"assistant_id": "echo", "input": {}, "on_completion": "keep"}
    streamed = await http.post("/runs/stream", json=body)
    assert streamed.headers["location"] == streamed.headers["content-location"] + "/stream"
    assert (await http.get(streamed.headers["location"])).status_code == 200
    assert (await http.get(streamed.headers["content-location"])).json()["status"] == "success"
    assert (await http.get(streamed.headers["content-location"] + "/join")).json() == {"content": "echo: "}


@covers("stateless.on_completion")
@pytest.mark.parametrize("option", [{}, {"on_completion": "delete"}])
async def test_the_thread_of_a_stateless_run_goes_with_its_end(
    http: httpx.AsyncClient, door: Door, option: dict[str, str]
) -> None:
    body = {"assistant_id": "door", "input": {"door": door.name}, **option}
    run = (await http.post("/runs", json=body)).json()
    await door.reached()
    thread = f"/threads/{run['thread_id']}"
    assert (await http.get(thread)).json()["status"] == "busy"
    door.open()
    await http.get(f"{thread}/runs/{run['run_id']}/join")
    assert (await http.get(thread)).status_code == 404


@covers("stateless.on_completion")
async def test_the_thread_of_a_stateless_run_stays_if_asked_for(client: LangGraphClient) -> None:
    await final(client, None, "echo", {"content": "x"}, on_completion="keep")
    (row,) = await client.threads.search()
    assert row["values"] == {"content": "echo: x"}


@covers("stateless.resume")
async def test_resuming_needs_a_thread(http: httpx.AsyncClient) -> None:
    body = {"assistant_id": "hitl", "command": {"resume": "yes"}}
    for path in ("/runs", "/runs/wait", "/runs/stream"):
        assert (await http.post(path, json=body)).status_code == 400


@covers("stateless.thread_id")
async def test_a_thread_id_in_the_body_is_ignored(http: httpx.AsyncClient) -> None:
    body = {"assistant_id": "echo", "input": {"content": "x"}, "thread_id": "mine", "on_completion": "keep"}
    run = (await http.post("/runs", json=body)).json()
    assert run["thread_id"] != "mine"
    assert (await http.get("/threads/mine")).status_code == 404


@covers("batch.create")
async def test_many_runs_are_created_in_order(client: LangGraphClient) -> None:
    payloads: Any = [
        {"assistant_id": "echo", "input": {"content": str(number)}, "on_completion": "keep"} for number in range(5)
    ]
    runs: Any = await client.runs.create_batch(payloads)
    joined = [await client.runs.join(run["thread_id"], run["run_id"]) for run in runs]
    assert joined == [{"content": f"echo: {number}"} for number in range(5)]


@covers("batch.invalid")
async def test_one_bad_run_refuses_the_batch(http: httpx.AsyncClient) -> None:
    good = {"assistant_id": "echo", "input": {}, "on_completion": "keep"}
    refused: list[Any] = [[], {}, [{"input": 1}], [good, {"assistant_id": "no-such-graph"}]]
    for body in refused:
        assert (await http.post("/runs/batch", json=body)).status_code == 422
    assert (await http.post("/threads/count", json={})).json() == 0


@covers("runs.max_attempts")
@pytest.mark.parametrize(("graph", "given", "kept"), [("echo", None, None), ("echo", 2, 2), ("steps", None, 1)])
async def test_a_run_or_its_graph_says_how_often_it_is_tried(graph: str, given: int | None, kept: int | None) -> None:
    app = fastGraph(protocol_graphs(Doors()), settings=settings(), max_attempts={"steps": 1})
    async with in_process(app) as http:
        body = {"assistant_id": graph, "max_attempts": given, "after_seconds": 60}
        run = (await http.post("/runs", json=body)).json()
        row = await app.state.fast_graph.stores.runs.get(run["run_id"], thread_id=None, scope={})
    assert row.max_attempts == kept


@covers("runs.max_attempts")
async def test_a_run_is_tried_once_at_least(http: httpx.AsyncClient) -> None:
    answer = await http.post("/runs", json={"assistant_id": "echo", "max_attempts": 0})
    assert answer.status_code == 422
    assert "max_attempts" in answer.json()["detail"]
