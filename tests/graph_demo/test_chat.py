from langchain_core.runnables import RunnableConfig

from graph_demo import chat
from graph_demo.model import OfflineChatModel
from tests.graph_demo.conftest import Bind, tokens_of


def user(text: str) -> dict[str, list[dict[str, str]]]:
    return {"messages": [{"role": "user", "content": text}]}


async def test_tokens_stream_and_join_to_the_answer(
    model: OfflineChatModel, bind: Bind, thread: RunnableConfig
) -> None:
    graph = bind(chat.build(model))
    tokens = await tokens_of(graph, user("I like tea"), thread)
    answer = (await graph.aget_state(thread)).values["messages"][-1]
    assert len(tokens) == 5
    assert "".join(token.text for token in tokens) == answer.text == "You said: I like tea"
    assert {token.id for token in tokens} == {answer.id}


async def test_a_name_is_remembered_in_its_thread(model: OfflineChatModel, bind: Bind, thread: RunnableConfig) -> None:
    graph = bind(chat.build(model))
    await graph.ainvoke(user("my name is Bob"), thread)
    result = await graph.ainvoke(user("what is my name?"), thread)
    assert [message.type for message in result["messages"]] == ["human", "ai", "human", "ai"]
    assert result["messages"][-1].text == "Your name is Bob."


async def test_a_name_stays_in_its_thread(model: OfflineChatModel, bind: Bind, thread: RunnableConfig) -> None:
    graph = bind(chat.build(model))
    await graph.ainvoke(user("my name is Bob"), thread)
    other: RunnableConfig = {"configurable": {"thread_id": "thread-2"}}
    result = await graph.ainvoke(user("what is my name?"), other)
    assert result["messages"][-1].text == "You have not told me your name yet."
