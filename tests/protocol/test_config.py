from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError

from tests.protocol.requirements import covers
from tests.protocol.talking import assistant_of, final, new_thread, started


@pytest.fixture
def client(remote: LangGraphClient) -> LangGraphClient:
    """One server for all tests: each has threads of its own."""
    return remote


async def seen(client: LangGraphClient, assistant: str = "look", thread: str | None = None, **options: Any) -> Any:
    """What a node sees of how it was called."""
    return (await final(client, thread, assistant, {"seen": {}}, **options))["seen"]


@covers("runs.config.tags")
async def test_tags_reach_the_graph(client: LangGraphClient) -> None:
    assert (await seen(client, config={"tags": ["red", "blue"]}))["tags"] == ["red", "blue"]


@covers("runs.config.tags")
async def test_the_assistants_tags_count_where_the_run_has_none(client: LangGraphClient) -> None:
    assistant = (await assistant_of(client, "look", config={"tags": ["theirs"]}))["assistant_id"]
    assert (await seen(client, assistant))["tags"] == ["theirs"]


@covers("runs.config.recursion_limit")
async def test_a_run_that_goes_round_and_round_is_ended(client: LangGraphClient) -> None:
    error = (await final(client, None, "loop", {"count": 0}, config={"recursion_limit": 5}))["__error__"]
    assert error["error"] == "GraphRecursionError"
    assert "5" in error["message"]


@covers("runs.config.recursion_limit")
async def test_the_assistant_may_set_the_recursion_limit(client: LangGraphClient) -> None:
    assistant = (await assistant_of(client, "loop", config={"recursion_limit": 7}))["assistant_id"]
    assert "7" in (await final(client, None, assistant, {"count": 0}))["__error__"]["message"]


@covers("runs.config.configurable")
async def test_configurable_values_reach_the_graph_also_as_context(client: LangGraphClient) -> None:
    found = await seen(client, config={"configurable": {"tone": "calm"}})
    assert found["configurable"]["tone"] == "calm"
    assert found["context"]["tone"] == "calm"


@covers("runs.config.configurable")
async def test_clients_cannot_set_what_langgraph_keeps_for_itself(client: LangGraphClient) -> None:
    found = await final(client, None, "echo", {"content": "x"}, config={"configurable": {"__pregel_read": "x"}})
    assert found == {"content": "echo: x"}


@covers("runs.config.ids")
async def test_graphs_find_the_ids_of_their_run(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    assistant = (await assistant_of(client, "look"))["assistant_id"]
    run = await started(client, thread, assistant, {"seen": {}})
    values: Any = await client.runs.join(thread, run["run_id"])
    expected = {"run_id": run["run_id"], "thread_id": thread, "graph_id": "look", "assistant_id": assistant}
    configurable = values["seen"]["configurable"]
    assert {key: configurable[key] for key in expected} == expected
    assert "user_id" in configurable


@covers("runs.config.ids")
async def test_clients_cannot_pretend_to_be_another_run(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    forged = {"configurable": {"thread_id": "other", "run_id": "other", "graph_id": "other"}}
    found = (await seen(client, thread=thread, config=forged))["configurable"]
    assert (found["thread_id"], found["graph_id"]) == (thread, "look")
    assert found["run_id"] != "other"


@covers("runs.context")
async def test_context_reaches_the_graph_also_as_configurable(client: LangGraphClient) -> None:
    found = await seen(client, context={"tone": "calm"})
    assert found["context"]["tone"] == "calm"
    assert found["configurable"]["tone"] == "calm"


@covers("runs.context")
async def test_context_and_configurable_at_once_are_refused(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    with pytest.raises(BadRequestError):
        await started(client, thread, "look", {}, context={"tone": "a"}, config={"configurable": {"tone": "b"}})


@covers("runs.context.assistant")
async def test_the_assistants_context_counts_where_the_run_says_nothing(client: LangGraphClient) -> None:
    assistant = (await assistant_of(client, "look", context={"tone": "calm", "pace": "slow"}))["assistant_id"]
    untouched = await seen(client, assistant)
    assert untouched["context"] == {"tone": "calm", "pace": "slow"}
    overridden = await seen(client, assistant, context={"tone": "loud"})
    assert overridden["context"] == {"tone": "loud", "pace": "slow"}
    assert overridden["configurable"]["pace"] == "slow"


@covers("runs.context.assistant")
async def test_an_earlier_version_of_the_assistant_counts_once_it_is_the_latest(client: LangGraphClient) -> None:
    assistant = (await assistant_of(client, "look", context={"tone": "v1"}))["assistant_id"]
    await client.assistants.update(assistant, context={"tone": "v2"})
    assert (await seen(client, assistant))["context"] == {"tone": "v2"}
    await client.assistants.set_latest(assistant, 1)
    assert (await seen(client, assistant))["context"] == {"tone": "v1"}


@covers("runs.metadata")
async def test_metadata_comes_from_four_places_and_the_runs_own_wins(client: LangGraphClient) -> None:
    names = ("a", "b", "c", "d")
    layers = [dict.fromkeys(names[place:], place) for place in range(4)]
    assistant = (await assistant_of(client, "look", metadata=layers[0]))["assistant_id"]
    thread = await new_thread(client, metadata=layers[1])
    run = await started(client, thread, assistant, {"seen": {}}, config={"metadata": layers[2]}, metadata=layers[3])
    values: Any = await client.runs.join(thread, run["run_id"])
    expected = {"a": 0, "b": 1, "c": 2, "d": 3}
    shown: Any = run["metadata"]
    for metadata in (shown, values["seen"]["metadata"]):
        assert {name: metadata[name] for name in names} == expected


@covers("runs.metadata")
async def test_metadata_names_the_graph_and_assistant(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    run: Any = await started(client, thread, "look", {"seen": {}})
    assert run["metadata"]["graph_id"] == "look"
    assert run["metadata"]["assistant_id"] == run["assistant_id"]
    assert run["metadata"]["created_by"] == "system"
