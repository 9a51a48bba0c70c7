"""What the tests of the demo graphs share: an offline model, and graphs bound to memory as a server would."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.memory import InMemoryStore

from graph_demo.model import OfflineChatModel

Graph = CompiledStateGraph[Any, Any, Any, Any]
Bind = Callable[[Graph], Graph]


@pytest.fixture
def model() -> OfflineChatModel:
    return OfflineChatModel()


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def bind(store: InMemoryStore) -> Bind:
    saver = InMemorySaver()
    return lambda graph: graph.copy(update={"checkpointer": saver, "store": store})


@pytest.fixture
def thread() -> RunnableConfig:
    return {"configurable": {"thread_id": "thread-1"}}


async def tokens_of(graph: Graph, given: dict[str, Any], config: RunnableConfig) -> list[BaseMessage]:
    parts = graph.astream(given, config, stream_mode="messages", version="v2")
    return [part["data"][0] async for part in parts if part["type"] == "messages"]
