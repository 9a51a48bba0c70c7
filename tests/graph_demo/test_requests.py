import pytest
from langchain_core.messages import HumanMessage

from graph_demo.requests import accept, parse, read_by_rules


@pytest.mark.parametrize(
    ("text", "action", "task", "deadline"),
    [
        ("add buy milk by Friday", "add", "buy milk", "Friday"),
        ("Please add a ToDo: call Ann.", "add", "call Ann", None),
        ("add milk to my list", "add", "milk", None),
        ("I need to book a flight tomorrow", "add", "book a flight", "tomorrow"),
        ("remind me to water the plants", "add", "water the plants", None),
        ("add: find out what comes first", "add", "find out what comes first", None),
        ("list my todos", "list", None, None),
        ("List", "list", None, None),
        ("what is on my list?", "list", None, None),
        ("What do I need to do?", "list", None, None),
        ("please show me my tasks by deadline", "list", None, None),
        ("what should I do first?", "first", None, None),
        ("So what's first?", "first", None, None),
        ("which task is next?", "first", None, None),
        ("done buy milk", "done", "buy milk", None),
        ("I'm happy", "talk", None, None),
        ("mark buy milk as done", "done", "buy milk", None),
        ("I have finished the report", "done", "the report", None),
        ("delete buy milk", "delete", "buy milk", None),
        ("please remove milk from my list", "delete", "milk", None),
        ("hello", "talk", None, None),
        ("", "talk", None, None),
    ],
)
def test_plain_sentences_are_understood(text: str, action: str, task: str | None, deadline: str | None) -> None:
    assert parse(text) == {"action": action, "task": task, "deadline": deadline}


async def test_only_the_last_message_is_a_request() -> None:
    request = await read_by_rules([HumanMessage("add milk"), HumanMessage("list my todos")])
    assert request["action"] == "list"


async def test_no_message_is_talk() -> None:
    assert (await read_by_rules([]))["action"] == "talk"


@pytest.mark.parametrize("form", [None, {}, {"action": "explode"}, {"action": ["add"]}, "add"])
def test_a_form_we_do_not_know_is_talk(form: object) -> None:
    assert accept(form)["action"] == "talk"


def test_missing_fields_of_a_form_are_empty() -> None:
    assert accept({"action": "list"}) == {"action": "list", "task": None, "deadline": None}
