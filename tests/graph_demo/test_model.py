from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
from langchain_core.messages import AIMessageChunk

from graph_demo.model import OfflineChatModel, real_chat_model, word_chunks


async def test_the_answer_streams_word_by_word(model: OfflineChatModel) -> None:
    chunks = [chunk async for chunk in model.astream("one two three")]
    assert [chunk.text for chunk in chunks] == ["You", " said:", " one", " two", " three"]


def test_the_sync_stream_gives_the_same_words(model: OfflineChatModel) -> None:
    assert [chunk.text for chunk in model.stream("one")] == ["You", " said:", " one"]


async def test_all_chunks_of_an_answer_share_its_id(model: OfflineChatModel) -> None:
    assert len({chunk.id async for chunk in model.astream("one two three")}) == 1


async def test_every_answer_has_its_own_id(model: OfflineChatModel) -> None:
    answers = [await model.ainvoke("hello"), model.invoke("hello")]
    assert len({answer.id for answer in answers} - {None}) == 2


@pytest.mark.parametrize("text", ["", "one", " two  words ", "- a\n- b\n\n"])
def test_chunks_join_to_the_text(text: str) -> None:
    assert "".join(chunk.text for chunk in word_chunks(text, message_id="m")) == text


def test_only_the_last_chunk_ends_the_message() -> None:
    messages = [cast(AIMessageChunk, chunk.message) for chunk in word_chunks("a b c", message_id="m")]
    assert [message.chunk_position for message in messages] == [None, None, "last"]


def test_a_real_model_without_langchain_says_what_to_install() -> None:
    def load(name: str) -> ModuleType:
        raise ModuleNotFoundError(name)

    with pytest.raises(ImportError, match="pip install langchain langchain-google-genai"):
        real_chat_model("google_genai:gemini", load=load)


def test_a_real_model_is_made_by_langchain(model: OfflineChatModel) -> None:
    asked: list[str] = []

    def init_chat_model(name: str) -> OfflineChatModel:
        asked.append(name)
        return model

    def load(name: str) -> ModuleType:
        return cast(ModuleType, SimpleNamespace(init_chat_model=init_chat_model))

    assert real_chat_model("openai:gpt-4o-mini", load=load) is model
    assert asked == ["openai:gpt-4o-mini"]
