"""The chat models of the demo: an offline one that always works, and the way to a real one by its name."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from graph_demo.replies import reply


def real_chat_model(name: str, *, load: Callable[[str], ModuleType] = import_module) -> BaseChatModel:
    """Return the model that langchain knows by this name, e.g. "openai:gpt-4o-mini"."""
    # langchain is optional, and whoever stays offline must never need it.
    try:
        chat_models = load("langchain.chat_models")
    except ModuleNotFoundError as missing:
        provider = name.partition(":")[0].replace("_", "-") if ":" in name else "<provider>"
        raise ImportError(
            f"The chat model {name!r} needs langchain: run 'pip install langchain langchain-{provider}', "
            "or unset FAST_GRAPH_DEMO_MODEL to use the offline model"
        ) from missing
    model: BaseChatModel = chat_models.init_chat_model(name)
    return model


def new_message_id() -> str:
    return f"msg-{uuid4()}"


class OfflineChatModel(BaseChatModel):
    """Answers by fixed rules and streams the answer word by word."""

    pause: float = 0.0
    """Seconds between two words."""
    new_id: Callable[[], str] = new_message_id

    @property
    def _llm_type(self) -> str:
        return "fast-graph-demo-offline"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = AIMessage(content=reply(messages), id=self.new_id())
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in word_chunks(reply(messages), message_id=self.new_id()):
            time.sleep(self.pause)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in word_chunks(reply(messages), message_id=self.new_id()):
            # Even a pause of zero lets other tasks run, so a word can leave before the next is made.
            await asyncio.sleep(self.pause)
            yield chunk


def word_chunks(text: str, *, message_id: str) -> Iterator[ChatGenerationChunk]:
    """Split the text so that joining the chunks gives it back; every chunk carries the id of the answer."""
    words = re.findall(r"\s*\S+|\s+$", text) or [""]
    for word in words[:-1]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=word, id=message_id))
    yield ChatGenerationChunk(message=AIMessageChunk(content=words[-1], id=message_id, chunk_position="last"))
