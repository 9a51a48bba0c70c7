"""The graphs that both servers run: a trivial one, and one that emits tokens as fast as it can."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


class EchoState(TypedDict, total=False):
    """A number, and the next one."""

    x: int
    y: int


class TokenState(TypedDict, total=False):
    """How many tokens to emit, through a chat model or the stream writer."""

    tokens: int
    through: str


class TokenModel(BaseChatModel):
    """Streams ``0 1 2 ...``, and lets the event loop turn after each."""

    tokens: int

    @property
    def _llm_type(self) -> str:
        return "bench"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("it only streams")

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for number in range(self.tokens):
            await asyncio.sleep(0)
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{number} "))


async def echo(state: EchoState) -> EchoState:
    """Count one up."""
    return {"y": state["x"] + 1}


async def emit(state: TokenState) -> TokenState:
    """Emit the tokens."""
    if state["through"] == "model":
        async for _ in TokenModel(tokens=state["tokens"]).astream("go"):
            pass
        return {}
    write = get_stream_writer()
    for number in range(state["tokens"]):
        await asyncio.sleep(0)
        write({"i": number})
    return {}


def _one_node(schema: type[Any], node: Any) -> StateGraph[Any, Any, Any, Any]:
    return StateGraph(schema).add_node("node", node).add_edge(START, "node").add_edge("node", END)


BUILDERS: dict[str, StateGraph[Any, Any, Any, Any]] = {
    "echo": _one_node(EchoState, echo),
    "tokens": _one_node(TokenState, emit),
}
