"""An app whose runs say who executed them, and never end in the process that is named."""

import asyncio
import os
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from fast_graph import fastGraph


class Signed(TypedDict, total=False):
    held_by: int
    signed: int


async def sign(state: Signed) -> Signed:
    if state.get("held_by") == os.getpid():
        await asyncio.Event().wait()
    return {"signed": os.getpid()}


graph = StateGraph(Signed)
graph.add_node("sign", sign)
graph.add_edge(START, "sign")
graph.add_edge("sign", END)
app = fastGraph({"sign": graph})
