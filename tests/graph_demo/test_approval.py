from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from graph_demo import approval
from tests.graph_demo.conftest import Bind, Graph

REQUEST = {"request": "delete the old backups"}


@pytest.fixture
async def waiting(bind: Bind, thread: RunnableConfig) -> Graph:
    graph = bind(approval.build())
    await graph.ainvoke(REQUEST, thread)
    return graph


async def resume(graph: Graph, thread: RunnableConfig, answer: object) -> dict[str, Any]:
    result: dict[str, Any] = await graph.ainvoke(Command(resume=answer), thread)
    return result


async def test_the_graph_waits_with_a_clear_question(waiting: Graph, thread: RunnableConfig) -> None:
    state = await waiting.aget_state(thread)
    assert state.next == ("ask",)
    assert state.interrupts[0].value == {
        "action": "Carry out: delete the old backups",
        "question": "Approve?",
        "answers": ["approve", "reject"],
    }


@pytest.mark.parametrize("answer", ["approve", " Approve ", True, {"decision": "approve"}, {"decision": True}])
async def test_an_approved_action_is_carried_out(waiting: Graph, thread: RunnableConfig, answer: object) -> None:
    result = await resume(waiting, thread, answer)
    assert (result["decision"], result["result"]) == ("approve", "Done: delete the old backups")


@pytest.mark.parametrize("answer", ["reject", False, {"decision": "reject"}])
async def test_a_rejected_action_is_refused(waiting: Graph, thread: RunnableConfig, answer: object) -> None:
    result = await resume(waiting, thread, answer)
    assert (result["decision"], result["result"]) == ("reject", "Refused: delete the old backups")


async def test_the_comment_is_part_of_the_result(waiting: Graph, thread: RunnableConfig) -> None:
    result = await resume(waiting, thread, {"decision": "reject", "comment": "keep them a week"})
    assert result["comment"] == "keep them a week"
    assert result["result"] == "Refused: delete the old backups (keep them a week)"


@pytest.mark.parametrize("answer", ["perhaps", 1, [], {"decision": ["approve"]}])
async def test_an_unclear_answer_is_asked_again(waiting: Graph, thread: RunnableConfig, answer: object) -> None:
    result = await resume(waiting, thread, answer)
    assert result["result"] is None
    assert "neither" in result["__interrupt__"][0].value["problem"]
    assert (await resume(waiting, thread, "approve"))["result"] == "Done: delete the old backups"


@pytest.mark.parametrize("answer", [None, {}, {"decision": None}, {"comment": "hm"}])
def test_an_empty_answer_is_unclear(answer: object) -> None:
    decision, _ = approval.understand(answer)
    assert decision == "unclear"


async def test_a_second_request_needs_its_own_decision(waiting: Graph, thread: RunnableConfig) -> None:
    await resume(waiting, thread, {"decision": "approve", "comment": "go"})
    again = await waiting.ainvoke({"request": "send the invoice"}, thread)
    assert (again["decision"], again["comment"], again["result"]) == (None, None, None)
    assert (await resume(waiting, thread, True))["result"] == "Done: send the invoice"
