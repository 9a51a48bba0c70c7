"""What the offline model answers: a fixed table of rules over the conversation, with no state and no I/O."""

import re
from collections.abc import Callable, Iterator, Sequence

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

TELL = "Tell the user the following, leaving out no fact:\n"

Rule = Callable[[str, list[str]], str]


def tell(facts: str) -> SystemMessage:
    """Ask a model to pass the facts on: a real one phrases them, the offline one repeats them."""
    return SystemMessage(TELL + facts)


def reply(messages: Sequence[BaseMessage]) -> str:
    for message in messages:
        if isinstance(message, SystemMessage) and message.text.startswith(TELL):
            return message.text.removeprefix(TELL)
    return _answer([message.text.strip() for message in messages if isinstance(message, HumanMessage)])


def _answer(said: list[str]) -> str:
    if not said or not said[-1]:
        return "I received no text. Say something and I will answer."
    for pattern, rule in RULES:
        if pattern.search(said[-1]):
            return rule(said[-1], said)
    return f"You said: {said[-1]}"


def _tell_name(_: str, said: list[str]) -> str:
    name = _known_name(said)
    return f"Your name is {name}." if name else "You have not told me your name yet."


def _learn_name(_: str, said: list[str]) -> str:
    return f"Nice to meet you, {_known_name(said)}."


def _greet(_: str, said: list[str]) -> str:
    name = _known_name(said)
    return f"Hello {name}! How can I help you?" if name else "Hello! How can I help you?"


def _recall(_: str, said: list[str]) -> str:
    return f"Before that you said: {said[-2]}" if len(said) > 1 else "That was the first thing you said."


def _welcome(_: str, __: list[str]) -> str:
    return "You are welcome."


def _admit(text: str, _: list[str]) -> str:
    return f"You asked: {text} I am the offline demo model, so I cannot know the answer."


def _known_name(said: list[str]) -> str | None:
    return next(_names(said), None)


def _names(said: list[str]) -> Iterator[str]:
    """The names the user has given, newest first."""
    for text in reversed(said):
        for match in reversed(list(NAME.finditer(text))):
            yield match["name"]


# Only the phrase ignores case: the second word of a name is known by its capital ("Bob Smith", "Bob and I").
NAME = re.compile(r"(?i:\bmy name is|\bmy name's|\bi am called) (?P<name>[^\W\d_][\w'-]*(?: [A-Z][\w'-]*)*)")

RULES: list[tuple[re.Pattern[str], Rule]] = [
    (re.compile(r"what(?:'s| is) my name|who am i\b|(?:know|remember) my name", re.I), _tell_name),
    (NAME, _learn_name),
    (re.compile(r"what did i (?:just )?say", re.I), _recall),
    (re.compile(r"^(?:hi|hello|hey|good (?:morning|day|afternoon|evening))\b", re.I), _greet),
    (re.compile(r"^(?:thanks|thank you)\b", re.I), _welcome),
    (re.compile(r"\?$"), _admit),
]
