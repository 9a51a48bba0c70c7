"""Reading what a user wants from the ToDo list: by rules, or by a chat model with structured output."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import cast, get_args, get_type_hints

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, SystemMessage
from langgraph.constants import TAG_NOSTREAM

from graph_demo.deadline import split_deadline
from graph_demo.state import Request

Reader = Callable[[Sequence[AnyMessage]], Awaitable[Request]]

PROMPT = SystemMessage("Say what the user's last message wants from their ToDo list.")
ACTIONS = get_args(get_type_hints(Request)["action"])

# Questions are known by how they begin, so that "add: find out what comes first" is still an addition.
POLITELY = r"^(?:(?:please|ok|so|and|now|can you|could you|tell me),? )*"
FIRST = re.compile(POLITELY + r"(?:what|which)\b.*\b(?:first|next)\b", re.I)
LIST = re.compile(POLITELY + r"(?:list$|(?:list|show|what|which)\b.*\b(?:to-?dos?|to do|tasks?|list)\b)", re.I)
DONE = re.compile(
    r"^(?:i(?:'ve| have| am)? )?(?:done|finished|completed|mark):? (?:with )?(?P<task>.+?)(?: as done)?$",
    re.I,
)
DELETE = re.compile(POLITELY + r"(?:delete|remove|drop):? (?P<task>.+?)(?: from my (?:list|to-?dos?))?$", re.I)
ADD = re.compile(
    r"\b(?:add|remember to|remind me to|i (?:need|have|want) to|i must)(?: an? (?:to-?do|task))?:? (?:to )?"
    r"(?P<task>.+?)(?: to my (?:list|to-?dos?|to-?do list))?$",
    re.I,
)
RULES = {"first": FIRST, "list": LIST, "done": DONE, "delete": DELETE, "add": ADD}


async def read_by_rules(messages: Sequence[AnyMessage]) -> Request:
    return parse(messages[-1].text if messages else "")


def read_by_model(model: BaseChatModel) -> Reader:
    # The form the model fills in is not an answer: the tag keeps it out of the user's stream.
    form = model.with_structured_output(Request).with_config(tags=[TAG_NOSTREAM])

    async def read(messages: Sequence[AnyMessage]) -> Request:
        return accept(await form.ainvoke([PROMPT, *messages]))

    return read


def parse(text: str) -> Request:
    sentence = " ".join(text.split()).rstrip(".!?")
    for action, pattern in RULES.items():
        if match := pattern.search(sentence):
            return _request(action, match.groupdict().get("task"))
    return _request("talk", None)


def _request(action: str, words: str | None) -> Request:
    task, deadline = split_deadline(words) if words and action == "add" else (words, None)
    return accept({"action": action, "task": task, "deadline": deadline})


def accept(form: object) -> Request:
    """Take a filled form; one with an unknown action or no action is talk."""
    if not isinstance(form, dict) or form.get("action") not in ACTIONS:
        return Request(action="talk", task=None, deadline=None)
    return cast(Request, {"action": form["action"], "task": form.get("task"), "deadline": form.get("deadline")})
