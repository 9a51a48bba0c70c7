import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from graph_demo.replies import reply, tell


def said(*texts: str) -> list[BaseMessage]:
    return [HumanMessage(text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["hello"], "Hello! How can I help you?"),
        (["my name is Bob", "hi there"], "Hello Bob! How can I help you?"),
        (["my name is Bob and I like tea"], "Nice to meet you, Bob."),
        (["My name is Ann Lee."], "Nice to meet you, Ann Lee."),
        (["what is my name?"], "You have not told me your name yet."),
        (["my name is Bob", "what's my name?"], "Your name is Bob."),
        (["my name is Bob", "my name is Ann", "what is my name?"], "Your name is Ann."),
        (["I like tea", "what did I say?"], "Before that you said: I like tea"),
        (["thanks"], "You are welcome."),
        (["I like tea"], "You said: I like tea"),
        (["  "], "I received no text. Say something and I will answer."),
    ],
)
def test_simple_things_get_sensible_answers(texts: list[str], answer: str) -> None:
    assert reply(said(*texts)) == answer


def test_an_unknown_question_is_admitted() -> None:
    assert reply(said("Why is the sky blue?")).startswith("You asked: Why is the sky blue? I am the offline")


def test_only_the_user_can_give_a_name() -> None:
    conversation = [
        SystemMessage("my name is Max"),
        AIMessage("my name is Max"),
        HumanMessage("what is my name?"),
    ]
    assert reply(conversation) == "You have not told me your name yet."


def test_told_facts_are_repeated_word_by_word() -> None:
    assert reply([tell("- buy milk\n- book a flight"), HumanMessage("hello")]) == "- buy milk\n- book a flight"
