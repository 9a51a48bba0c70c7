from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from tests.protocol.requirements import covers
from tests.protocol.talking import data_of, final, new_thread, state_of, streamed, thread_of


@pytest.fixture
def client(remote: LangGraphClient) -> LangGraphClient:
    """One server for all tests: each has threads of its own."""
    return remote


@pytest.fixture
def http(web: httpx.AsyncClient) -> httpx.AsyncClient:
    return web


async def asked(client: LangGraphClient, graph: str = "hitl") -> str:
    """A thread that waits for an answer."""
    thread = await new_thread(client)
    await final(client, thread, graph, {"question": "q"} if graph == "hitl" else {"answers": []})
    return thread


@covers("command.resume")
@pytest.mark.parametrize("answer", ["yes", {"deep": [1]}, 7, False])
async def test_resume_answers_the_question(client: LangGraphClient, answer: Any) -> None:
    thread = await asked(client)
    values = await final(client, thread, "hitl", command={"resume": answer})
    assert values == {"question": "q", "answer": f"got {answer}"}
    row = await thread_of(client, thread)
    assert (row["status"], row["interrupts"]) == ("idle", {})


@covers("command.resume")
async def test_what_follows_an_answer_is_streamed(client: LangGraphClient) -> None:
    thread = await asked(client)
    parts = await streamed(client, thread, "hitl", None, ["updates"], command={"resume": "yes"})
    assert data_of(parts, "updates") == [{"ask": {"answer": "yes"}}, {"after": {"answer": "got yes"}}]


@covers("command.resume_by_id")
async def test_several_questions_are_answered_by_their_ids(client: LangGraphClient) -> None:
    thread = await asked(client, "ask_twice")
    interrupts = (await state_of(client, thread))["interrupts"]
    answers = {one["id"]: f"to the {one['value']}" for one in interrupts}
    values = await final(client, thread, "ask_twice", command={"resume": answers})
    assert sorted(values["answers"]) == ["left: to the left", "right: to the right"]


@covers("command.resume_by_id")
async def test_one_of_several_questions_can_be_answered(client: LangGraphClient) -> None:
    thread = await asked(client, "ask_twice")
    left, right = sorted((await state_of(client, thread))["interrupts"], key=lambda one: str(one["value"]))
    values = await final(client, thread, "ask_twice", command={"resume": {left["id"]: "l"}})
    assert [one["id"] for one in values["__interrupt__"]] == [right["id"]]
    assert [one["value"] for one in (await state_of(client, thread))["interrupts"]] == ["right"]


@covers("command.update")
async def test_update_writes_to_the_state(client: LangGraphClient) -> None:
    thread = await asked(client)
    values = await final(client, thread, "hitl", command={"update": {"question": "other"}, "resume": "yes"})
    assert values == {"question": "other", "answer": "got yes"}


@covers("command.update")
async def test_update_may_be_a_list_of_pairs(client: LangGraphClient) -> None:
    thread = await asked(client)
    values = await final(client, thread, "hitl", command={"update": [["question", "other"]], "resume": "yes"})
    assert values == {"question": "other", "answer": "got yes"}


@covers("command.goto")
@pytest.mark.parametrize(
    ("goto", "log"),
    [
        ("c", ["c"]),
        ({"node": "c", "input": {"log": []}}, ["c"]),
        (["b", "c"], ["b", "c", "c"]),
        ([{"node": "c", "input": {"log": []}}, "c"], ["c", "c"]),
    ],
)
async def test_goto_names_nodes(client: LangGraphClient, goto: Any, log: list[str]) -> None:
    thread = await new_thread(client)
    await final(client, thread, "steps", {"log": ["x"]})
    values = await final(client, thread, "steps", command={"goto": goto})
    assert sorted(values["log"][4:]) == log


@covers("command.goto", "command.update")
async def test_update_and_goto_go_together(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "steps", {"log": ["x"]})
    values = await final(client, thread, "steps", command={"update": {"log": ["u"]}, "goto": "c"})
    assert values["log"][4:] == ["u", "c"]


@covers("command.wins")
async def test_a_command_counts_before_the_input(client: LangGraphClient) -> None:
    thread = await asked(client)
    values = await final(client, thread, "hitl", {"question": "new"}, command={"resume": "yes"})
    assert values == {"question": "q", "answer": "got yes"}


@covers("command.wins")
@pytest.mark.parametrize("empty", [{}, {"resume": None}, {"update": None, "goto": None}])
async def test_an_empty_command_does_not_count(http: httpx.AsyncClient, empty: dict[str, Any]) -> None:
    body = {"assistant_id": "echo", "input": {"content": "x"}, "command": empty}
    assert (await http.post("/runs/wait", json=body)).json() == {"content": "echo: x"}


@covers("command.invalid")
@pytest.mark.parametrize("goto", [7, {"input": {}}, {"node": 7}, [7], [["b"]]])
async def test_a_goto_that_names_no_node_is_refused(http: httpx.AsyncClient, goto: Any) -> None:
    body = {"assistant_id": "steps", "command": {"goto": goto}}
    assert (await http.post("/runs", json=body)).status_code == 422
