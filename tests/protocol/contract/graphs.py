"""The small graphs that the recorded cases run."""

import asyncio
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict

Builder = StateGraph[Any, Any, Any, Any]
Node = Callable[..., Any]


class EchoState(TypedDict, total=False):
    content: str


class ChatState(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]


class HitlState(TypedDict, total=False):
    question: str
    answer: str


class StepsState(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    delay: float


class StoreState(TypedDict, total=False):
    key: str
    text: str
    found: Any


class Tone(TypedDict, total=False):
    tone: str


class ToneState(TypedDict, total=False):
    content: str
    seen: dict[str, Any]


def chain(state: type[Any], nodes: Mapping[str, Any], context: type[Any] | None = None) -> Builder:
    """START, every node in order, END."""
    graph: Builder = StateGraph(state, context_schema=context)
    for name, node in nodes.items():
        graph.add_node(name, node)
    names = list(nodes)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    return graph


def echo(state: EchoState) -> EchoState:
    return {"content": f"echo: {state.get('content', '')}"}


def fine(state: EchoState) -> EchoState:
    return {"content": "fine"}


def fail(state: EchoState) -> EchoState:
    raise ValueError(f"boom: {state.get('content', '')}")


def writer(state: EchoState) -> EchoState:
    write = get_stream_writer()
    write({"progress": 1})
    write("plain text")
    return {"content": "done"}


class FixedReply(BaseChatModel):
    """Says the same sentence every time, word by word, under an id that tells how much was said before."""

    reply: str = "Hello from the fake model"

    @property
    def _llm_type(self) -> str:
        return "fixed-reply"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = AIMessage(content=self.reply, id=f"ai-{len(messages)}")
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        *words, last = self.reply.split(" ")
        for word in words:
            yield ChatGenerationChunk(message=AIMessageChunk(content=word + " ", id=f"ai-{len(messages)}"))
        yield ChatGenerationChunk(message=AIMessageChunk(content=last, id=f"ai-{len(messages)}", chunk_position="last"))


async def model(state: ChatState) -> dict[str, Any]:
    return {"messages": [await FixedReply().ainvoke(state["messages"])]}


def ask(state: HitlState) -> HitlState:
    return {"answer": interrupt({"question": state.get("question", "ok?")})}


def after(state: HitlState) -> HitlState:
    return {"answer": f"got {state['answer']}"}


def step(name: str, seconds: float) -> Node:
    """A node that takes its time, by default so many seconds, and then logs its name."""

    async def run(state: StepsState) -> StepsState:
        await asyncio.sleep(state.get("delay", seconds))
        return {"log": [name]}

    return run


def steps(seconds: float = 0) -> Builder:
    return chain(StepsState, {name: step(name, seconds) for name in "abc"})


def parent() -> Builder:
    child = chain(StepsState, {"inner": step("inner", 0)}).compile()
    return chain(StepsState, {"before": step("before", 0), "child": child})


async def use_store(state: StoreState, runtime: Runtime[Any]) -> dict[str, Any]:
    assert runtime.store is not None
    namespace = ("contract", "graph")
    await runtime.store.aput(namespace, state["key"], {"text": state["text"]})
    item = await runtime.store.aget(namespace, state["key"])
    return {"found": item.value if item else None}


def tell_context(state: ToneState, config: RunnableConfig, runtime: Runtime[Tone]) -> dict[str, Any]:
    seen = {
        "context": runtime.context,
        "configurable_tone": config.get("configurable", {}).get("tone"),
        "tags": sorted(config.get("tags") or []),
        "meta_team": (config.get("metadata") or {}).get("team"),
    }
    return {"seen": seen}


def contract_graphs() -> dict[str, Any]:
    """All of them, compiled, by name."""
    return {
        "echo": chain(EchoState, {"echo": echo}).compile(),
        "chat": chain(ChatState, {"model": model}).compile(),
        "hitl": chain(HitlState, {"ask": ask, "after": after}).compile(),
        "gate": steps().compile(interrupt_before=["b"]),
        "steps": steps().compile(),
        "slow": steps(0.3).compile(),
        "failing": chain(EchoState, {"fine": fine, "fail": fail}).compile(),
        "parent": parent().compile(),
        "store": chain(StoreState, {"use_store": use_store}).compile(),
        "context": chain(ToneState, {"ctx": tell_context}, Tone).compile(),
        "custom": chain(EchoState, {"writer": writer}).compile(),
    }
