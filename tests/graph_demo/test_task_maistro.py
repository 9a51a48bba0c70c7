from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.store.memory import InMemoryStore

from graph_demo import task_maistro
from graph_demo.model import OfflineChatModel
from graph_demo.requests import read_by_model, read_by_rules
from graph_demo.state import Configuration
from tests.graph_demo.conftest import Bind, Graph, tokens_of


@pytest.fixture
def graph(model: OfflineChatModel, bind: Bind) -> Graph:
    return bind(task_maistro.build(model, read=read_by_rules))


async def say(
    graph: Graph, text: str, *, thread: str = "a", context: Configuration | None = None, **configurable: str
) -> str:
    config: RunnableConfig = {"configurable": {"thread_id": thread, **configurable}}
    result = await graph.ainvoke(user(text), config, context=context)
    answer: str = result["messages"][-1].text
    return answer


def user(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def test_todos_are_remembered_across_threads(graph: Graph) -> None:
    assert await say(graph, "add buy milk by Friday", thread="a") == "Added: buy milk (deadline: Friday)."
    assert await say(graph, "list my todos", thread="b") == "Your ToDos:\n- buy milk (deadline: Friday)"


async def test_what_is_first_is_the_nearest_deadline(graph: Graph) -> None:
    await say(graph, "add read a book")
    await say(graph, "I need to book a flight tomorrow")
    assert await say(graph, "what should I do first?") == "Start with: book a flight (deadline: tomorrow)."


async def test_done_and_deleted_todos_are_out_of_the_way(graph: Graph) -> None:
    await say(graph, "add buy milk")
    await say(graph, "add call Ann")
    assert await say(graph, "done milk") == "Done: buy milk."
    assert await say(graph, "delete call Ann") == "Deleted: call Ann."
    assert await say(graph, "list my todos") == "Your ToDos:\n- [done] buy milk"


async def test_a_todo_is_kept_in_the_store_as_plain_data(graph: Graph, store: InMemoryStore) -> None:
    await say(graph, "add buy milk by Friday")
    (item,) = await store.asearch(("todo", "general", "default-user"))
    assert item.value.pop("created_at").endswith("+00:00")
    assert item.value == {"task": "buy milk", "deadline": "Friday", "status": "not started"}


async def test_every_user_and_category_has_its_own_list(graph: Graph) -> None:
    await say(graph, "add buy milk", context={"user_id": "ann"})
    await say(graph, "add fix the roof", context={"user_id": "ann", "todo_category": "home"})
    await say(graph, "add write the report", user_id="bob", todo_category="work")
    assert await say(graph, "list my todos") == "Your ToDo list is empty."
    assert await say(graph, "list my todos", context={"user_id": "ann"}) == "Your ToDos:\n- buy milk"
    assert "fix the roof" in await say(graph, "list my todos", user_id="ann", todo_category="home")
    assert "write the report" in await say(graph, "list my todos", user_id="bob", todo_category="work")


async def test_the_context_wins_over_the_configurable(graph: Graph, store: InMemoryStore) -> None:
    await say(graph, "add buy milk", context={"user_id": "ann"}, user_id="bob")
    assert await store.asearch(("todo", "general", "ann"))


async def test_a_user_id_may_be_an_email_address(graph: Graph) -> None:
    await say(graph, "add buy milk", user_id="ann@example.com")
    assert "buy milk" in await say(graph, "list my todos", user_id="ann@example.com")


async def test_the_answer_streams_token_by_token(graph: Graph, thread: RunnableConfig) -> None:
    tokens = await tokens_of(graph, user("add buy milk"), thread)
    assert [token.text for token in tokens] == ["Added:", " buy", " milk."]


async def test_small_talk_is_answered_and_does_not_repeat_the_last_outcome(graph: Graph) -> None:
    await say(graph, "add buy milk")
    assert await say(graph, "hello") == "Hello! How can I help you?"


async def test_a_missing_store_is_named(model: OfflineChatModel) -> None:
    without_store: Graph = task_maistro.build(model, read=read_by_rules)
    with pytest.raises(RuntimeError, match="store"):
        await without_store.ainvoke(user("list my todos"))


class FormFillingModel(OfflineChatModel):
    """Answers a bound tool with one fixed call of it, as a model with structured output does."""

    arguments: dict[str, Any]

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(form=True)

    def _generate(self, messages: list[BaseMessage], *args: Any, form: bool = False, **kwargs: Any) -> ChatResult:
        call = {"name": "Request", "args": self.arguments, "id": "call-1"}
        message = AIMessage(content="", tool_calls=[call], id=self.new_id())
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _should_stream(self, *, async_api: bool, **kwargs: Any) -> bool:
        return not kwargs.get("form")


async def test_a_model_can_read_the_request_and_its_form_is_not_streamed(bind: Bind, thread: RunnableConfig) -> None:
    model = FormFillingModel(arguments={"action": "add", "task": "buy milk", "deadline": "Friday"})
    graph = bind(task_maistro.build(model, read=read_by_model(model)))
    tokens = await tokens_of(graph, user("we are out of milk"), thread)
    assert [token.text for token in tokens] == ["Added:", " buy", " milk", " (deadline:", " Friday)."]
