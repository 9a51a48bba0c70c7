"""Human approval: the graph drafts an action, waits for a person, then carries it out or leaves it."""

from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt

from graph_demo.state import ApprovalInput, ApprovalState

Decision = Literal["approve", "reject", "unclear"]

DECISIONS: dict[object, Decision] = {
    "approve": "approve",
    "reject": "reject",
    True: "approve",
    False: "reject",
}


def build() -> CompiledStateGraph[ApprovalState, None, ApprovalInput, ApprovalState]:
    graph = StateGraph(ApprovalState, input_schema=ApprovalInput)
    graph.add_node("draft", draft)
    graph.add_node("ask", ask)
    graph.add_node("execute", execute)
    graph.add_node("refuse", refuse)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", "ask")
    graph.add_conditional_edges("ask", route)
    graph.add_edge("execute", END)
    graph.add_edge("refuse", END)
    return graph.compile(name="approval")


async def draft(state: ApprovalState) -> dict[str, str | None]:
    # A second request on the same thread must not inherit the decision about the first.
    return {"action": f"Carry out: {state['request']}", "decision": None, "comment": None, "result": None}


async def ask(state: ApprovalState) -> dict[str, str | None]:
    decision, comment = understand(interrupt(question(state)))
    return {"decision": decision, "comment": comment}


def question(state: ApprovalState) -> dict[str, object]:
    payload: dict[str, object] = {
        "action": state["action"],
        "question": "Approve?",
        "answers": ["approve", "reject"],
    }
    if state.get("decision") == "unclear":
        payload["problem"] = "The last answer was neither 'approve' nor 'reject'."
    return payload


def understand(answer: object) -> tuple[Decision, str | None]:
    """Read "approve", "reject", a bool, or {"decision": one of these, "comment": str}."""
    decision, comment = answer, None
    if isinstance(answer, dict):
        decision, comment = answer.get("decision"), answer.get("comment")
    if isinstance(decision, str):
        decision = decision.strip().lower()
    known = DECISIONS.get(decision, "unclear") if isinstance(decision, (str, bool)) else "unclear"
    return known, None if comment is None else str(comment)


def route(state: ApprovalState) -> Literal["execute", "refuse", "ask"]:
    match state["decision"]:
        case "approve":
            return "execute"
        case "reject":
            return "refuse"
        case _:
            return "ask"


async def execute(state: ApprovalState) -> dict[str, str]:
    return {"result": f"Done: {state['request']}{remark(state)}"}


async def refuse(state: ApprovalState) -> dict[str, str]:
    return {"result": f"Refused: {state['request']}{remark(state)}"}


def remark(state: ApprovalState) -> str:
    comment = state.get("comment")
    return f" ({comment})" if comment else ""
