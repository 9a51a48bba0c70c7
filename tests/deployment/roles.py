"""An app whose runs say who executed them and for whom, and never end in the process that is named."""

import asyncio
import os
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from fast_graph import fastGraph


class Signed(TypedDict, total=False):
    held_by: int
    signed: int
    signed_for: str


async def sign(state: Signed, config: RunnableConfig) -> Signed:
    if state.get("held_by") == os.getpid():
        await asyncio.Event().wait()
    user = config["configurable"].get("langgraph_auth_user")
    return {"signed": os.getpid(), "signed_for": user.identity} if user else {"signed": os.getpid()}


graph = StateGraph(Signed)
graph.add_node("sign", sign)
graph.add_edge(START, "sign")
graph.add_edge("sign", END)
app = fastGraph({"sign": graph})
