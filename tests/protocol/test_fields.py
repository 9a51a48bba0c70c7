"""Field by field: what the platform takes is known here, and does something that a requirement tells."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from pydantic import BaseModel

from fast_graph.api import requests
from tests.protocol.requirements import BY_ID, covers
from tests.protocol.talking import final, history_of, new_thread

PLATFORM: Mapping[str, Any] = json.loads(Path(__file__).with_name("platform_fields.json").read_text())
"""By body its fields, by request its body, by request its query parameters."""

MODELS: Mapping[str, type[BaseModel]] = {
    "AssistantCreate": requests.AssistantCreate,
    "AssistantPatch": requests.AssistantPatch,
    "AssistantSearchRequest": requests.AssistantSearch,
    "AssistantCountRequest": requests.AssistantSearch,
    "AssistantVersionsSearchRequest": requests.AssistantVersions,
    "AssistantVersionChange": requests.AssistantVersion,
    "ThreadCreate": requests.ThreadCreate,
    "ThreadSuperstepUpdate": requests.SuperstepUpdate,
    "ThreadPatch": requests.ThreadPatch,
    "ThreadSearchRequest": requests.ThreadSearch,
    "ThreadCountRequest": requests.ThreadSearch,
    "ThreadPruneRequest": requests.ThreadPrune,
    "ThreadStateUpdate": requests.StateUpdate,
    "ThreadStateCheckpointRequest": requests.StateAtCheckpoint,
    "ThreadStateSearch": requests.HistorySearch,
    "CheckpointConfig": requests.Checkpoint,
    "RunCreateStateful": requests.RunCreate,
    "RunCreateStateless": requests.RunCreate,
    "RunCreateStreamingStateful": requests.RunCreate,
    "RunCreateStreamingStateless": requests.RunCreate,
    "RunsCancel": requests.RunsCancel,
    "Command": requests.CommandBody,
    "Config": requests.RunConfig,
    "StorePutRequest": requests.StorePut,
    "StoreDeleteRequest": requests.StoreDelete,
    "StoreSearchRequest": requests.StoreSearch,
    "StoreListNamespacesRequest": requests.StoreNamespaces,
}

NOT_FIELDS = {("CheckpointConfig", "thread_id"): "fields.checkpoint_thread"}

NOT_PARAMETERS = {
    ("GET /threads/{thread_id}", "include"): "threads.get.include",
    ("GET /ok", "check_db"): "meta.ok",
    ("GET /metrics", "format"): "not_yet.metrics",
    ("GET /threads/{thread_id}/stream", "stream_modes"): "not_yet.thread_stream",
    ("POST /assistants/{assistant_id}/latest", "version"): "assistants.latest",
}

PAGE = {"limit": "pages.limits", "offset": "pages.limits"}
RUN = {
    "assistant_id": "runs.assistant",
    "checkpoint": "travel.replay",
    "input": "runs.input",
    "command": "command.resume",
    "metadata": "runs.metadata",
    "config": "runs.config.configurable",
    "context": "runs.context",
    "webhook": "runs.webhook",
    "interrupt_before": "runs.interrupt_before",
    "interrupt_after": "runs.interrupt_after",
    "stream_mode": "mode.many",
    "stream_subgraphs": "mode.subgraphs",
    "stream_resumable": "resume.after",
    "feedback_keys": "runs.feedback_keys",
    "multitask_strategy": "multitask.reject",
    "if_not_exists": "runs.if_not_exists",
    "after_seconds": "runs.after_seconds",
    "checkpoint_during": "runs.durability",
    "durability": "runs.durability",
    "on_completion": "stateless.on_completion",
    "on_disconnect": "runs.on_disconnect",
}

BEHAVIOUR: Mapping[type[BaseModel], Mapping[str, str]] = {
    requests.AssistantCreate: {
        "assistant_id": "assistants.create",
        "graph_id": "assistants.create",
        "config": "assistants.create",
        "context": "assistants.context",
        "metadata": "assistants.create",
        "if_exists": "assistants.create.if_exists",
        "name": "assistants.create",
        "description": "assistants.create",
    },
    requests.AssistantPatch: {
        "graph_id": "assistants.patch",
        "config": "assistants.patch",
        "context": "assistants.patch",
        "metadata": "assistants.patch",
        "name": "assistants.patch",
        "description": "assistants.patch",
    },
    requests.AssistantSearch: {
        **PAGE,
        "metadata": "assistants.search",
        "graph_id": "assistants.search",
        "name": "assistants.search",
        "sort_by": "assistants.search.sort",
        "sort_order": "assistants.search.sort",
        "select": "assistants.search.select",
    },
    requests.AssistantVersions: {
        "metadata": "assistants.versions",
        "limit": "assistants.versions",
        "offset": "assistants.versions",
    },
    requests.AssistantVersion: {"version": "assistants.latest"},
    requests.ThreadCreate: {
        "thread_id": "threads.create.id",
        "metadata": "threads.create",
        "if_exists": "threads.create.if_exists",
        "ttl": "threads.ttl",
        "supersteps": "threads.create.supersteps",
    },
    requests.SuperstepUpdate: dict.fromkeys(("values", "command", "as_node"), "threads.create.supersteps"),
    requests.ThreadPatch: {"metadata": "threads.patch", "ttl": "threads.ttl"},
    requests.ThreadSearch: {
        **PAGE,
        "ids": "threads.search",
        "metadata": "threads.search",
        "values": "threads.search",
        "status": "threads.search",
        "sort_by": "threads.search.sort",
        "sort_order": "threads.search.sort",
        "select": "threads.search.select",
        "extract": "threads.search.extract",
    },
    requests.ThreadPrune: {"thread_ids": "threads.prune", "strategy": "threads.prune.keep_latest"},
    requests.StateUpdate: {
        "values": "state.update",
        "checkpoint": "state.update.fork",
        "as_node": "state.update",
    },
    requests.StateAtCheckpoint: {"checkpoint": "state.at_checkpoint", "subgraphs": "state.subgraphs"},
    requests.HistorySearch: {
        "limit": "history.limit",
        "before": "history.before",
        "metadata": "history.metadata",
        "checkpoint": "history.checkpoint",
    },
    requests.Checkpoint: {
        "checkpoint_id": "state.at_checkpoint",
        "checkpoint_ns": "fields.checkpoint_ns",
        "checkpoint_map": "fields.checkpoint_ns",
    },
    requests.RunCreate: RUN,
    requests.RunsCancel: {"status": "cancel.by_status", "thread_id": "cancel.many", "run_ids": "cancel.many"},
    requests.CommandBody: {"update": "command.update", "resume": "command.resume", "goto": "command.goto"},
    requests.RunConfig: {
        "tags": "runs.config.tags",
        "recursion_limit": "runs.config.recursion_limit",
        "configurable": "runs.config.configurable",
    },
    requests.StorePut: {
        "namespace": "store.put",
        "key": "store.put",
        "value": "store.put",
        "index": "store.index",
        "ttl": "store.ttl",
    },
    requests.StoreDelete: {"namespace": "store.delete", "key": "store.delete"},
    requests.StoreSearch: {
        "namespace_prefix": "store.search",
        "filter": "store.filter",
        "limit": "store.search",
        "offset": "store.search",
        "query": "store.search.query",
        "refresh_ttl": "store.ttl",
    },
    requests.StoreNamespaces: dict.fromkeys(("prefix", "suffix", "max_depth", "limit", "offset"), "store.namespaces"),
}

FIELDS = [(body, field) for body, fields in PLATFORM["bodies"].items() for field in fields]


@covers("fields.known")
@pytest.mark.parametrize(("body", "field"), FIELDS)
def test_every_field_is_known_and_does_something(body: str, field: str) -> None:
    model = MODELS[body]
    if (body, field) in NOT_FIELDS:
        assert BY_ID[NOT_FIELDS[body, field]].divergence
    else:
        assert field in model.model_fields
        assert BEHAVIOUR[model][field] in BY_ID


@covers("fields.known")
async def test_every_request_takes_the_model_of_its_body(http: httpx.AsyncClient) -> None:
    served = (await http.get("/openapi.json")).json()
    for request, body in PLATFORM["requests"].items():
        method, path = request.split(" ")
        if body == "RunBatchCreate":
            body = "RunCreateStateless"
        schema = served["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
        reference = schema.get("items", schema)["$ref"]
        assert reference.rpartition("/")[2] == MODELS[body].__name__, request


@covers("fields.known")
async def test_every_query_parameter_is_known(http: httpx.AsyncClient) -> None:
    served = (await http.get("/openapi.json")).json()["paths"]
    unknown = set()
    for request, parameters in PLATFORM["queries"].items():
        method, path = request.split(" ")
        operation = served.get(path, {}).get(method.lower(), {})
        known = {parameter["name"] for parameter in operation.get("parameters", [])}
        unknown |= {(request, name) for name in set(parameters) - known}
    assert unknown == NOT_PARAMETERS.keys()
    assert {requirement for requirement in NOT_PARAMETERS.values() if requirement not in BY_ID} == set()


@covers("fields.checkpoint_thread")
async def test_the_thread_of_the_path_counts(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    mine, other = await new_thread(client), await new_thread(client)
    for thread in (mine, other):
        await final(client, thread, "echo", {"content": thread})
    body = {"checkpoint": {"thread_id": other}}
    state = (await http.post(f"/threads/{mine}/state/checkpoint", json=body)).json()
    assert state["values"] == {"content": f"echo: {mine}"}


@covers("fields.checkpoint_ns")
async def test_a_place_may_be_inside_of_a_subgraph(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    thread = await new_thread(client)
    await final(client, thread, "outer", {"question": "q"})
    (task,) = (await history_of(client, thread))[0]["tasks"]
    inside = task["checkpoint"]
    assert inside["checkpoint_ns"] == f"inner:{task['id']}"
    state = (await http.post(f"/threads/{thread}/state/checkpoint", json={"checkpoint": inside})).json()
    assert (state["values"], state["next"]) == ({"question": "q"}, ["ask"])
    parent = {"": (await history_of(client, thread))[0]["checkpoint_id"]}
    mapped = {**inside, "checkpoint_id": state["checkpoint_id"], "checkpoint_map": parent}
    again = (await http.post(f"/threads/{thread}/state/checkpoint", json={"checkpoint": mapped})).json()
    assert again["values"] == state["values"]
