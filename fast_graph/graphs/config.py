"""From a run's stored arguments to what a graph is called with."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, cast
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Send
from pydantic import BaseModel
from typing_extensions import is_typeddict

from fast_graph.graphs.registry import Graph
from fast_graph.graphs.serde import encode
from fast_graph.model.records import FENCE_KEY, Json, Run
from fast_graph.model.user import User

CHECKPOINT_KEYS = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
OWNERS = ("run_id", "thread_id")
START_KEYS = ("update", "resume", "goto")

USER_KEY = "langgraph_auth_user"
"""Where graphs find who sent the request. Clients are not shown it: it may hold more than they should know."""

RESERVED = ("__pregel_", "__fast_graph_", "langgraph_auth_")
"""How keys of the configurable begin that are never a client's to set: LangGraph and FastGraph pass their own there."""


def client_keys(configurable: Json) -> dict[str, Any]:
    """Of what a client gives, what it may."""
    return {key: value for key, value in configurable.items() if not key.startswith(RESERVED)}


def user_keys(user: User | None) -> Json:
    """What graphs are told of who sent the request, in a form that is stored with the run."""
    if user is None:
        return {}
    return {
        "user_id": user.identity,
        USER_KEY: {key: value for key, value in user.items() if _has_json_form(value)},
        "langgraph_auth_user_id": user.identity,
        "langgraph_auth_permissions": list(user.permissions),
    }


def _has_json_form(value: Any) -> bool:
    try:
        encode(value)
    except (TypeError, ValueError):
        return False
    return True


def reading_config(config: Json, user: User | None, **places: str) -> RunnableConfig:
    """The config of a graph that is looked at rather than run."""
    configurable = {**client_keys(config.get("configurable") or {}), **places, **_met(user_keys(user))}
    return cast(RunnableConfig, {**config, "configurable": configurable})


def _met(configurable: Json) -> dict[str, Any]:
    """The same, with the user as graphs meet one, rather than as one is stored."""
    user = configurable.get(USER_KEY)
    return {**configurable, USER_KEY: User(user)} if user is not None else dict(configurable)


def run_config(run: Run, kwargs: Json) -> RunnableConfig:
    """The config of one attempt at a run."""
    config: dict[str, Any] = {**kwargs["config"]}
    # LangGraph tells by these whose a checkpoint is, and prefers what the metadata says.
    given = {key: value for key, value in config.get("metadata", {}).items() if key not in OWNERS}
    config["metadata"] = {**given, "run_attempt": run.attempt}
    config["configurable"] = _met(config.get("configurable", {}))
    config["run_id"] = _run_id(run.run_id)
    return cast(RunnableConfig, config)


def fenced(config: RunnableConfig, token: int) -> RunnableConfig:
    """The same config, by which a checkpointer can tell whether the writer still holds its lease."""
    return {**config, "configurable": {**config["configurable"], FENCE_KEY: token}}


def resumed(config: RunnableConfig) -> RunnableConfig:
    """The same config, but going on from the thread's latest checkpoint rather than an earlier one."""
    where = {key: value for key, value in config["configurable"].items() if key not in CHECKPOINT_KEYS}
    return {**config, "configurable": where}


def context_for(graph: Graph, context: Json) -> Any:
    """The context the graph is called with: what its schema knows, since clients may send more in one place."""
    schema = graph.context_schema
    if schema is None or not context:
        return dict(context) or None
    known = _field_names(schema)
    return dict(context) if known is None else {key: value for key, value in context.items() if key in known}


def _field_names(schema: type[Any]) -> frozenset[str] | None:
    """The keys a schema takes; None if it takes any."""
    if is_dataclass(schema):
        return frozenset(field.name for field in fields(schema))
    if issubclass(schema, BaseModel):
        return frozenset(schema.model_fields)
    if is_typeddict(schema):
        return frozenset(schema.__required_keys__ | schema.__optional_keys__)
    return None


def run_input(kwargs: Json) -> Any:
    """The graph's input: the command if it says anything, else the input."""
    command = kwargs["command"] or {}
    says_something = any(command.get(key) is not None for key in START_KEYS)
    return to_command(command) if says_something else kwargs["input"]


def to_command(command: Json) -> Command[Any]:
    """LangGraph's command from its JSON form."""
    given = {key: command[key] for key in START_KEYS if command.get(key) is not None}
    if "goto" in given:
        given["goto"] = _goto(given["goto"])
    update = given.get("update")
    if isinstance(update, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in update):
        given["update"] = [tuple(pair) for pair in update]
    return Command(**given)


def _goto(goto: Any) -> Any:
    if isinstance(goto, Mapping):
        return Send(goto["node"], goto.get("input"))
    if isinstance(goto, Sequence) and not isinstance(goto, str):
        return [_goto(one) for one in goto]
    return goto


def _run_id(run_id: str) -> UUID | None:
    try:
        return UUID(run_id)
    except ValueError:
        return None
