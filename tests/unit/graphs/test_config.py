"""From a run's stored arguments to what the graph is called with."""

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict
from uuid import UUID

import pytest
from langgraph.types import Command, Send
from pydantic import BaseModel

from fast_graph.graphs.config import (
    client_keys,
    context_for,
    reading_config,
    resumed,
    run_config,
    run_input,
    to_command,
    user_keys,
)
from fast_graph.graphs.serde import decode, encode
from fast_graph.model.user import User
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_run
from tests.unit.graphs.sources import compiled

USER = User({"identity": "alice", "team": "blue", "socket": object()})

RUN_ID = "0193ab00-0000-7000-8000-000000000001"


@dataclass
class AsDataclass:
    user: str = ""
    model: str = ""


class AsModel(BaseModel):
    user: str = ""
    model: str = ""


class AsTypedDict(TypedDict):
    user: str
    model: NotRequired[str]


class Loose:
    def __init__(self, **more: Any) -> None:
        self.more = more


@pytest.mark.parametrize("schema", [AsDataclass, AsModel, AsTypedDict])
def test_the_context_has_only_what_its_schema_knows(schema: type[Any]) -> None:
    graph = compiled(context=schema)
    assert context_for(graph, {"user": "ann", "thread_id": "t"}) == {"user": "ann"}
    assert context_for(graph, {"model": "small", "user": "ann"}) == {"user": "ann", "model": "small"}


@pytest.mark.parametrize("schema", [None, AsDataclass, AsModel, AsTypedDict])
def test_an_empty_context_is_none(schema: type[Any] | None) -> None:
    assert context_for(compiled(context=schema), {}) is None


@pytest.mark.parametrize("schema", [None, Loose, dict])
def test_a_context_whose_keys_nobody_named_is_passed_on_whole(schema: type[Any] | None) -> None:
    assert context_for(compiled(context=schema), {"user": "ann", "more": 1}) == {"user": "ann", "more": 1}


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ({"resume": "yes"}, Command(resume="yes")),
        ({"resume": False}, Command(resume=False)),
        ({"resume": {"id": 1}}, Command(resume={"id": 1})),
        ({"update": {"a": 1}}, Command(update={"a": 1})),
        ({"update": [["a", 1], ["b", 2]]}, Command(update=[("a", 1), ("b", 2)])),
        ({"update": [["a", 1], {"b": 2}]}, Command(update=[["a", 1], {"b": 2}])),
        ({"update": [1, 2]}, Command(update=[1, 2])),
        ({"update": []}, Command(update=[])),
        ({"goto": "node"}, Command(goto="node")),
        ({"goto": ["a", "b"]}, Command(goto=["a", "b"])),
        ({"goto": {"node": "a", "input": {"x": 1}}}, Command(goto=Send("a", {"x": 1}))),
        ({"goto": {"node": "a"}}, Command(goto=Send("a", None))),
        ({"goto": ["a", {"node": "b", "input": 1}]}, Command(goto=["a", Send("b", 1)])),
        ({"goto": "a", "update": {"a": 1}, "resume": 2}, Command(goto="a", update={"a": 1}, resume=2)),
        ({"resume": None, "goto": "a", "graph": "PARENT"}, Command(goto="a")),
    ],
)
def test_a_command_is_what_its_json_says(command: dict[str, Any], wanted: Command[Any]) -> None:
    assert to_command(command) == wanted


@pytest.mark.parametrize("command", [None, {}, {"resume": None}, {"update": None, "goto": None}, {"other": 1}])
def test_a_command_that_says_nothing_leaves_the_input(command: dict[str, Any] | None) -> None:
    assert run_input({"command": command, "input": {"a": 1}}) == {"a": 1}


@pytest.mark.parametrize("resume", [False, 0, "", []])
def test_an_answer_that_is_empty_is_an_answer(resume: object) -> None:
    assert run_input({"command": {"resume": resume}, "input": {"a": 1}}) == Command(resume=resume)


def attempt(run_id: str = RUN_ID, **config: Any) -> Any:
    return run_config(new_run(OwnedClock(), "t", run_id=run_id, attempt=2), {"config": config})


def test_a_config_tells_run_and_attempt() -> None:
    config = attempt(configurable={"thread_id": "t"}, tags=["a"])
    assert config == {
        "configurable": {"thread_id": "t"},
        "tags": ["a"],
        "metadata": {"run_attempt": 2},
        "run_id": UUID(RUN_ID),
    }


def test_metadata_cannot_claim_a_checkpoint_for_others() -> None:
    config = attempt(metadata={"run_id": "x", "thread_id": "y", "user": "ann"})
    assert config["metadata"] == {"user": "ann", "run_attempt": 2}


def test_a_run_whose_id_is_no_uuid_goes_without() -> None:
    assert attempt(run_id="mine")["run_id"] is None


def test_the_stored_arguments_are_not_changed() -> None:
    kwargs: dict[str, Any] = {"config": {"metadata": {"user": "ann", "run_id": "x"}}}
    run_config(new_run(OwnedClock(), "t"), kwargs)
    assert kwargs == {"config": {"metadata": {"user": "ann", "run_id": "x"}}}


def test_a_run_that_goes_on_does_so_from_the_latest_checkpoint() -> None:
    config = {"thread_id": "t", "checkpoint_id": "c", "checkpoint_ns": "", "checkpoint_map": {}, "user": "ann"}
    later = resumed({"configurable": config, "tags": ["a"]})
    assert later == {"configurable": {"thread_id": "t", "user": "ann"}, "tags": ["a"]}
    assert config["checkpoint_id"] == "c"


def test_the_user_travels_with_the_run_as_json() -> None:
    stored = decode(encode({"config": {"configurable": user_keys(USER)}}))
    met: Any = run_config(new_run(OwnedClock(), "t"), stored)["configurable"]
    user = met["langgraph_auth_user"]
    assert (user.identity, user["team"], user.team) == ("alice", "blue", "blue")
    assert "socket" not in user
    assert (met["langgraph_auth_user_id"], met["user_id"], met["langgraph_auth_permissions"]) == ("alice", "alice", [])


def test_without_a_user_a_graph_is_told_of_none() -> None:
    assert user_keys(None) == {}
    assert reading_config({}, None, thread_id="t") == {"configurable": {"thread_id": "t"}}


def test_a_client_cannot_make_up_what_the_server_says() -> None:
    forged = {"langgraph_auth_user": 1, "langgraph_auth_x": 1, "__pregel_store": 1, "__fast_graph_token": 1, "mine": 1}
    assert client_keys(forged) == {"mine": 1}
    seen: Any = reading_config({"configurable": {**forged, "user_id": "eve", "thread_id": "x"}}, USER, thread_id="t")
    configurable = seen["configurable"]
    assert (configurable["user_id"], configurable["thread_id"]) == ("alice", "t")
    assert configurable["langgraph_auth_user"].team == "blue"
