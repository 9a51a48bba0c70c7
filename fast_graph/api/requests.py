"""The bodies that clients send. Unknown fields are ignored, as by the platform."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from fast_graph.model.lifecycle import MultitaskStrategy, ThreadStatus
from fast_graph.services.runs import RunRequest

JsonObject = dict[str, Any]
StreamMode = Literal[
    "values", "messages", "messages-tuple", "tasks", "checkpoints", "updates", "events", "debug", "custom"
]
SortOrder = Literal["asc", "desc"]
IfExists = Literal["raise", "do_nothing"]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, lt=2**53)]
NodeNames = Literal["*"] | list[str]
MOST_IDS = 1000
"""Ids that one request may name."""

Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]

AssistantColumn = Literal[
    "assistant_id", "graph_id", "name", "description", "config", "context", "created_at", "updated_at", "metadata",
    "version",
]  # fmt: skip
ThreadColumn = Literal[
    "thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "config", "status", "values",
    "interrupts", "error",
]  # fmt: skip
RUN_COLUMNS = (
    "run_id", "thread_id", "assistant_id", "created_at", "updated_at", "status", "metadata", "kwargs",
    "multitask_strategy", "langsmith_session_name",
)  # fmt: skip


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Body(BaseModel):
    """A JSON object; ``null`` counts as left out where the field has a default."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data


class RunConfig(Body):
    """What of LangChain's config a client may say."""

    tags: list[str] | None = None
    recursion_limit: int | None = Field(default=None, ge=1)
    max_concurrency: int | None = Field(default=None, ge=1)
    run_name: str | None = None
    configurable: JsonObject | None = None
    metadata: JsonObject | None = None


def _checked_config(config: JsonObject) -> JsonObject:
    RunConfig.model_validate(config)
    return config


AssistantConfig = Annotated[JsonObject, AfterValidator(_checked_config)]
"""A config of which everything is kept, even what runs do not use."""


class AssistantCreate(Body):
    """POST /assistants."""

    graph_id: str
    assistant_id: Uuid | None = None
    config: AssistantConfig | None = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None
    if_exists: IfExists = "raise"
    name: str | None = None
    description: str | None = None


class AssistantPatch(Body):
    """PATCH /assistants/{assistant_id}."""

    graph_id: str | None = None
    config: AssistantConfig | None = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None
    name: str | None = None
    description: str | None = None


class AssistantSearch(Body):
    """POST /assistants/search and /assistants/count."""

    metadata: JsonObject = {}
    graph_id: str | None = None
    name: str | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["assistant_id", "created_at", "updated_at", "name", "graph_id"] = "created_at"
    sort_order: SortOrder = "desc"
    select: list[AssistantColumn] | None = None


class AssistantVersions(Body):
    """POST /assistants/{assistant_id}/versions."""

    metadata: JsonObject = {}
    limit: Limit = 10
    offset: Offset = 0


class AssistantVersion(Body):
    """POST /assistants/{assistant_id}/latest."""

    version: int = Field(gt=-(2**31), lt=2**31)


class ThreadTtl(Body):
    """How long a thread is to be kept; minutes."""

    strategy: Literal["delete", "keep_latest"] = "delete"
    ttl: float


class CommandBody(Body):
    """What to resume with, to write, and where to go on."""

    model_config = ConfigDict(extra="allow")
    update: JsonObject | list[Any] | None = None
    resume: Any = None
    goto: Any = None

    @field_validator("goto")
    @classmethod
    def _goto_names_nodes(cls, goto: Any) -> Any:
        for target in goto if isinstance(goto, list) else [goto]:
            sends = isinstance(target, dict) and isinstance(target.get("node"), str)
            if not sends and not isinstance(target, str | None):
                raise ValueError("goto is a node's name, {node, input}, or a list of these")
        return goto


class SuperstepUpdate(Body):
    """What one node is to have returned."""

    values: JsonObject | list[Any] | None = None
    command: CommandBody | None = None
    as_node: str


class Superstep(Body):
    """The updates of one superstep."""

    updates: list[SuperstepUpdate]


class ThreadCreate(Body):
    """POST /threads."""

    thread_id: str | None = None
    metadata: JsonObject = {}
    if_exists: IfExists = "raise"
    ttl: ThreadTtl | None = None
    supersteps: list[Superstep] = []


class ThreadPatch(Body):
    """PATCH /threads/{thread_id}."""

    metadata: JsonObject = {}
    ttl: ThreadTtl | None = None


class ThreadSearch(Body):
    """POST /threads/search and /threads/count."""

    ids: Annotated[list[str], Field(max_length=MOST_IDS)] | None = None
    metadata: JsonObject = {}
    values: JsonObject = {}
    status: ThreadStatus | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] = "updated_at"
    sort_order: SortOrder = "desc"
    select: list[ThreadColumn] | None = None
    extract: dict[str, str] | None = None


class ThreadPrune(Body):
    """POST /threads/prune."""

    thread_ids: Annotated[list[str], Field(max_length=MOST_IDS)]
    strategy: Literal["delete", "keep_latest"] = "delete"


class Checkpoint(Body):
    """The place of a checkpoint."""

    checkpoint_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_map: JsonObject | None = None

    def place(self) -> JsonObject:
        """Only what was given."""
        return self.model_dump(exclude_none=True)


def _checkpoint(value: Any) -> Any:
    """A checkpoint as clients write it: its id, its place, or a config that holds the place."""
    if isinstance(value, str):
        return {"checkpoint_id": value}
    if isinstance(value, dict) and isinstance(value.get("configurable"), dict):
        return value["configurable"]
    return value


AnyCheckpoint = Annotated[Checkpoint, BeforeValidator(_checkpoint)]


class StateAtCheckpoint(Body):
    """POST /threads/{thread_id}/state/checkpoint."""

    checkpoint: Checkpoint
    subgraphs: bool = False
    select: list[str] | None = None


class StateUpdate(Body):
    """POST /threads/{thread_id}/state."""

    values: JsonObject | list[Any] | None = None
    as_node: str | None = None
    checkpoint: AnyCheckpoint | None = None
    checkpoint_id: str | None = None


class StatePatch(Body):
    """PATCH /threads/{thread_id}/state."""

    metadata: JsonObject = {}


class HistorySearch(Body):
    """POST /threads/{thread_id}/history."""

    limit: Limit = 10
    before: AnyCheckpoint | None = None
    metadata: JsonObject | None = None
    checkpoint: Checkpoint | None = None
    select: list[str] | None = None


class RunCreate(Body):
    """POST .../runs, .../runs/stream and .../runs/wait, on a thread or without one."""

    assistant_id: str
    input: Any = None
    command: CommandBody | None = None
    config: RunConfig | None = None
    context: JsonObject = {}
    metadata: JsonObject = {}
    stream_mode: Annotated[list[StreamMode], BeforeValidator(_one_or_many)] = ["values"]
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    interrupt_before: NodeNames | None = None
    interrupt_after: NodeNames | None = None
    webhook: str | None = None
    feedback_keys: list[str] | None = None
    multitask_strategy: MultitaskStrategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    after_seconds: float = Field(default=0, ge=0, le=366 * 24 * 3600, allow_inf_nan=False)
    durability: Literal["sync", "async", "exit"] | None = None
    checkpoint_during: bool | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_id: str | None = None
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    max_attempts: Annotated[int, Field(ge=1, le=1000)] | None = None

    @field_validator("webhook")
    @classmethod
    def _no_webhooks_yet(cls, webhook: str | None) -> str | None:
        if webhook is not None:
            raise ValueError("webhooks are not served by this version: leave the field out, and join the run instead")
        return webhook

    def request(self) -> RunRequest:
        """What the body asks for, in the words of the service."""
        checkpoint = self.checkpoint.place() if self.checkpoint else {}
        if self.checkpoint_id is not None:
            checkpoint["checkpoint_id"] = self.checkpoint_id
        return RunRequest(
            assistant_id=self.assistant_id,
            input=self.input,
            command=self.command.model_dump(exclude_unset=True) if self.command else None,
            config=self.config.model_dump(exclude_unset=True) if self.config else {},
            context=self.context,
            metadata=self.metadata,
            stream_mode=self.stream_mode or ["values"],
            stream_subgraphs=self.stream_subgraphs,
            stream_resumable=self.stream_resumable,
            interrupt_before=self.interrupt_before,
            interrupt_after=self.interrupt_after,
            feedback_keys=self.feedback_keys,
            multitask_strategy=self.multitask_strategy,
            if_not_exists=self.if_not_exists,
            after_seconds=self.after_seconds,
            durability=self.durability or ("exit" if self.checkpoint_during is False else "async"),
            checkpoint=checkpoint,
            keep_thread=self.on_completion == "keep",
            max_attempts=self.max_attempts,
        )


class RunsCancel(Body):
    """POST /runs/cancel: runs of a thread, or all of a status."""

    thread_id: str | None = None
    run_ids: Annotated[list[Uuid], Field(max_length=MOST_IDS)] | None = None
    status: Literal["pending", "running", "all"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "RunsCancel":
        by_id = self.thread_id is not None and self.run_ids is not None
        if by_id == (self.status is not None):
            raise ValueError("give either thread_id and run_ids, or status")
        return self


class StorePut(Body):
    """PUT /store/items."""

    namespace: list[str]
    key: str
    value: JsonObject
    index: Literal[False] | list[str] | None = None
    ttl: float | None = Field(default=None, gt=0)


class StoreDelete(Body):
    """DELETE /store/items."""

    namespace: list[str] = []
    key: str


class StoreSearch(Body):
    """POST /store/items/search."""

    namespace_prefix: list[str] = []
    filter: JsonObject | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 10
    offset: Offset = 0
    query: str | None = None
    refresh_ttl: bool | None = None


class StoreNamespaces(Body):
    """POST /store/namespaces."""

    prefix: list[str] | None = None
    suffix: list[str] | None = None
    max_depth: int | None = Field(default=None, ge=1)
    limit: Limit = 100
    offset: Offset = 0


def listed(values: Sequence[str] | None) -> list[str] | None:
    """The values of a repeatable query parameter: repeated keys, or one JSON array as JavaScript clients send it."""
    if not values:
        return None
    found = [item for value in values for item in _items(value)]
    return found or None


def _items(value: str) -> list[str]:
    if not value.startswith("["):
        return [value] if value else []
    try:
        parsed = orjson.loads(value)
    except ValueError:
        return [value]
    return [str(item) for item in parsed]
