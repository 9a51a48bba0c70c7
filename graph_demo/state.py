"""The states of the demo graphs: plain JSON types and messages only, so any checkpointer can keep them."""

from typing import Annotated, Literal, NotRequired

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

# Pydantic draws the schemas of the graphs, and before Python 3.12 it refuses the TypedDict of typing.
from typing_extensions import TypedDict


class ChatState(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


class TextInput(TypedDict):
    text: str


class PlainState(TextInput, total=False):
    output: str


class FailingState(TextInput, total=False):
    prepared: str


class ApprovalInput(TypedDict):
    request: str


class ApprovalState(ApprovalInput, total=False):
    action: str
    decision: Literal["approve", "reject", "unclear"] | None
    comment: str | None
    result: str | None


class ResearchInput(TypedDict):
    topic: str


class ResearchState(ResearchInput, total=False):
    questions: list[str]
    findings: list[str]
    summary: str
    report: str


class WordCount(TypedDict):
    word: str
    times: int


class Statistics(TypedDict):
    words: int
    distinct_words: int
    average_length: float
    most_common: list[WordCount]


class PipelineInput(TextInput):
    delay: NotRequired[float]
    """Seconds that each step waits before its work."""


class PipelineState(PipelineInput, total=False):
    words: list[str]
    statistics: Statistics
    report: str


class Request(TypedDict):
    """What the user wants from the ToDo list."""

    action: Annotated[
        Literal["add", "list", "first", "done", "delete", "talk"],
        ...,
        "add a ToDo, list them, name the one to do first, mark one done, delete one; talk: anything else",
    ]
    task: Annotated[str | None, ..., "the task in the user's words, without its deadline"]
    deadline: Annotated[str | None, ..., "when it must be done, in the user's words, e.g. 'tomorrow'"]


class TaskMaistroState(ChatState, total=False):
    request: Request
    outcome: str | None


class Configuration(TypedDict, total=False):
    """Whose ToDos to use, and which list of theirs."""

    user_id: str
    todo_category: str
