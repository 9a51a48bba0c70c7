from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx
import pytest
from langchain_core.runnables.graph import Edge, Graph
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError
from pydantic import BaseModel

from tests.protocol.requirements import covers
from tests.protocol.talking import assistant_of, final, new_thread

NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


@covers("assistants.system")
async def test_every_graph_has_an_assistant_from_the_start(client: LangGraphClient) -> None:
    found: Any = await client.assistants.search(metadata={"created_by": "system"}, limit=100)
    by_graph = {row["graph_id"]: row for row in found}
    assert {"echo", "chat", "door"} <= by_graph.keys()
    for graph, row in by_graph.items():
        assert row["assistant_id"] == str(uuid5(NAMESPACE, graph))
        assert (row["name"], row["version"]) == (graph, 1)


@covers("assistants.system.editable")
async def test_a_graphs_own_assistant_can_be_changed_and_removed(client: LangGraphClient) -> None:
    own = str(uuid5(NAMESPACE, "echo"))
    assert (await client.assistants.update(own, name="renamed"))["version"] == 2
    await client.assistants.delete(own)
    with pytest.raises(NotFoundError):
        await client.assistants.get("echo")


@covers("assistants.by_name")
async def test_a_graphs_name_stands_for_its_assistant_in_every_path(client: LangGraphClient) -> None:
    own = str(uuid5(NAMESPACE, "echo"))
    assert (await client.assistants.get("echo"))["assistant_id"] == own
    assert (await client.assistants.get_schemas("echo"))["graph_id"] == "echo"
    assert (await client.assistants.get_graph("echo"))["nodes"]
    assert (await client.assistants.get_subgraphs("echo")) == {}
    assert (await client.assistants.update("echo", name="renamed"))["assistant_id"] == own
    assert len(await client.assistants.get_versions("echo")) == 2
    assert (await client.assistants.set_latest("echo", 1))["assistant_id"] == own


@covers("assistants.create")
async def test_an_assistant_has_what_it_was_given(client: LangGraphClient) -> None:
    given: dict[str, Any] = {
        "assistant_id": str(uuid4()),
        "config": {"tags": ["t"], "recursion_limit": 7},
        "metadata": {"team": "blue"},
        "name": "mine",
        "description": "for trying",
    }
    made: Any = await assistant_of(client, "chat", **given)
    assert {key: made[key] for key in given} == given
    assert made["graph_id"] == "chat"
    assert await client.assistants.get(made["assistant_id"]) == made


@covers("assistants.create.defaults")
async def test_a_new_assistant_has_defaults(client: LangGraphClient) -> None:
    made = await assistant_of(client)
    assert (made["name"], made["description"], made["version"]) == ("Untitled", None, 1)
    assert (made["config"], made["context"], made["metadata"]) == ({}, {}, {})
    assert made["created_at"] == made["updated_at"]


@covers("assistants.create.unknown_graph")
async def test_an_assistant_of_an_unknown_graph_is_not_made(client: LangGraphClient) -> None:
    with pytest.raises(NotFoundError, match="nope"):
        await client.assistants.create("nope")


@covers("assistants.create.if_exists")
async def test_a_taken_id_is_a_conflict_or_gives_what_is_there(client: LangGraphClient) -> None:
    made = await assistant_of(client, name="first")
    taken = made["assistant_id"]
    with pytest.raises(ConflictError):
        await client.assistants.create("echo", assistant_id=taken, name="second")
    there = await client.assistants.create("echo", assistant_id=taken, name="second", if_exists="do_nothing")
    assert there == made


@covers("assistants.context")
async def test_context_and_configurable_mirror_each_other(client: LangGraphClient) -> None:
    by_context = await assistant_of(client, "look", context={"tone": "calm"})
    assert by_context["config"]["configurable"] == by_context["context"] == {"tone": "calm"}
    by_config = await assistant_of(client, "look", config={"configurable": {"tone": "loud"}})
    assert by_config["config"]["configurable"] == by_config["context"] == {"tone": "loud"}


@covers("assistants.context")
async def test_context_and_configurable_at_once_are_refused(client: LangGraphClient) -> None:
    both: dict[str, Any] = {"context": {"tone": "a"}, "config": {"configurable": {"tone": "b"}}}
    with pytest.raises(BadRequestError):
        await client.assistants.create("look", **both)
    made = await assistant_of(client, "look")
    with pytest.raises(BadRequestError):
        await client.assistants.update(made["assistant_id"], **both)


@covers("assistants.get.unknown")
async def test_an_unknown_assistant_is_not_found(client: LangGraphClient) -> None:
    with pytest.raises(NotFoundError):
        await client.assistants.get(str(uuid4()))


@covers("assistants.patch")
async def test_a_change_merges_metadata_replaces_the_rest_and_makes_a_version(client: LangGraphClient) -> None:
    made = await assistant_of(
        client, name="n1", metadata={"a": 1, "b": 1}, config={"tags": ["x"], "recursion_limit": 3}
    )
    changed: Any = await client.assistants.update(
        made["assistant_id"],
        graph_id="chat",
        name="n2",
        description="d2",
        metadata={"b": 2, "c": 3},
        config={"tags": ["y"]},
    )
    assert changed["version"] == 2
    assert (changed["graph_id"], changed["name"], changed["description"]) == ("chat", "n2", "d2")
    assert changed["metadata"] == {"a": 1, "b": 2, "c": 3}
    assert changed["config"] == {"tags": ["y"]}
    assert changed["created_at"] == made["created_at"]
    assert changed["updated_at"] > made["updated_at"]


@covers("assistants.patch")
async def test_a_change_of_context_replaces_it(client: LangGraphClient) -> None:
    made = await assistant_of(client, "look", context={"tone": "calm", "pace": "slow"})
    changed: Any = await client.assistants.update(made["assistant_id"], context={"tone": "loud"})
    assert changed["context"] == changed["config"]["configurable"] == {"tone": "loud"}


@covers("assistants.patch.unknown")
async def test_changing_an_unknown_assistant_is_not_found(client: LangGraphClient) -> None:
    with pytest.raises(NotFoundError):
        await client.assistants.update(str(uuid4()), name="x")
    made = await assistant_of(client)
    with pytest.raises(NotFoundError):
        await client.assistants.update(made["assistant_id"], graph_id="nope")


@covers("assistants.versions")
async def test_versions_come_newest_first_in_pages(client: LangGraphClient) -> None:
    assistant = (await assistant_of(client, name="v1", metadata={"n": 1}))["assistant_id"]
    for number in (2, 3):
        await client.assistants.update(assistant, name=f"v{number}", metadata={"n": number})
    rows: Any = await client.assistants.get_versions(assistant)
    assert [(row["version"], row["name"]) for row in rows] == [(3, "v3"), (2, "v2"), (1, "v1")]
    assert "updated_at" not in rows[0]
    assert [row["version"] for row in await client.assistants.get_versions(assistant, limit=1, offset=1)] == [2]
    assert [row["version"] for row in await client.assistants.get_versions(assistant, metadata={"n": 1})] == [1]


@covers("assistants.latest")
async def test_an_earlier_version_can_be_made_the_latest(client: LangGraphClient) -> None:
    made = await assistant_of(client, "echo", name="v1", config={"tags": ["x"]}, metadata={"a": 1})
    assistant = made["assistant_id"]
    await client.assistants.update(assistant, graph_id="chat", name="v2", config={"tags": ["y"]})
    back = await client.assistants.set_latest(assistant, 1)
    assert (back["version"], back["name"], back["config"], back["graph_id"]) == (1, "v1", {"tags": ["x"]}, "echo")
    assert await client.assistants.get(assistant) == back
    assert (await client.assistants.update(assistant, name="v3"))["version"] == 3


@covers("assistants.latest")
async def test_an_unknown_version_is_not_found(client: LangGraphClient) -> None:
    assistant = (await assistant_of(client))["assistant_id"]
    for unknown in (0, 2):
        with pytest.raises(NotFoundError):
            await client.assistants.set_latest(assistant, unknown)


@covers("assistants.search")
async def test_search_filters(client: LangGraphClient) -> None:
    one = await assistant_of(client, "echo", name="Blue whale", metadata={"sea": {"depth": 3}, "kind": "a"})
    two = await assistant_of(client, "chat", name="blue bird", metadata={"kind": "b"})

    async def found(**wanted: Any) -> set[str]:
        rows: Any = await client.assistants.search(**wanted)
        return {row["assistant_id"] for row in rows}

    assert await found(name="BLUE") == {one["assistant_id"], two["assistant_id"]}
    assert await found(name="whale") == {one["assistant_id"]}
    assert await found(name="blue", graph_id="chat") == {two["assistant_id"]}
    assert await found(metadata={"kind": "a"}) == {one["assistant_id"]}
    assert await found(metadata={"sea": {"depth": 3}}) == {one["assistant_id"]}
    assert await found(metadata={"kind": "c"}) == set()


@covers("assistants.search")
async def test_search_comes_in_pages(client: LangGraphClient) -> None:
    for number in range(3):
        await assistant_of(client, name=f"paged {number}")
    first: Any = await client.assistants.search(name="paged", limit=2, response_format="object")
    assert (len(first["assistants"]), first["next"]) == (2, "2")
    last: Any = await client.assistants.search(name="paged", limit=2, offset=2, response_format="object")
    assert (len(last["assistants"]), last["next"]) == (1, None)


@covers("assistants.search.sort")
async def test_search_sorts_by_any_column(client: LangGraphClient) -> None:
    for name in ("sorted b", "sorted c", "sorted a"):
        await assistant_of(client, name=name)

    async def names(**options: Any) -> list[str]:
        rows: Any = await client.assistants.search(name="sorted", **options)
        return [row["name"][-1] for row in rows]

    assert await names() == ["a", "c", "b"]
    assert await names(sort_by="created_at", sort_order="asc") == ["b", "c", "a"]
    assert await names(sort_by="name", sort_order="asc") == ["a", "b", "c"]
    assert await names(sort_by="name", sort_order="desc") == ["c", "b", "a"]
    for column in ("assistant_id", "updated_at", "graph_id"):
        assert sorted(await names(sort_by=column)) == ["a", "b", "c"]


@covers("assistants.search.select")
async def test_search_gives_the_columns_asked_for(client: LangGraphClient) -> None:
    rows: Any = await client.assistants.search(graph_id="echo", select=["name", "version"])
    assert rows == [{"name": "echo", "version": 1}]
    with pytest.raises(UnprocessableEntityError):
        await client.assistants.search(select=["colour"])  # type: ignore[list-item] # the mistake


@covers("assistants.count")
async def test_count_takes_the_filters_of_search(client: LangGraphClient) -> None:
    await assistant_of(client, "echo", name="counted", metadata={"k": 1})
    await assistant_of(client, "chat", name="counted", metadata={"k": 2})
    assert await client.assistants.count(name="counted") == 2
    assert await client.assistants.count(name="counted", graph_id="chat") == 1
    assert await client.assistants.count(metadata={"k": 1}) == 1
    with pytest.raises(NotFoundError):
        await client.assistants.count(graph_id="nope")


@covers("assistants.graph")
async def test_a_drawing_is_one_that_langgraph_can_draw(client: LangGraphClient) -> None:
    drawn = await client.assistants.get_graph("steps")
    assert [node["id"] for node in drawn["nodes"]] == ["__start__", "a", "b", "c", "__end__"]
    edges = [Edge(**edge) for edge in drawn["edges"]]
    assert [(edge.source, edge.target) for edge in edges] == [
        ("__start__", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "__end__"),
    ]
    nodes = {node["id"]: Graph().add_node(BaseModel, node["id"]) for node in drawn["nodes"]}
    assert "graph TD" in Graph(nodes, edges).draw_mermaid()


@covers("assistants.graph.xray")
async def test_xray_looks_into_subgraphs(client: LangGraphClient) -> None:
    async def nodes(xray: int | bool) -> set[str]:
        return {node["id"] for node in (await client.assistants.get_graph("parent", xray=xray))["nodes"]}

    assert "child" in await nodes(xray=False)
    assert "child:inner" in await nodes(xray=True)
    assert "child:inner" in await nodes(xray=1)


@covers("assistants.graph.xray")
@pytest.mark.parametrize("xray", ["-1", "0", "deep"])
async def test_a_senseless_xray_is_refused(http: httpx.AsyncClient, xray: str) -> None:
    assert (await http.get("/assistants/parent/graph", params={"xray": xray})).status_code == 422


@covers("assistants.schemas")
async def test_schemas_describe_what_goes_in_and_out(client: LangGraphClient) -> None:
    schemas: Any = await client.assistants.get_schemas("look")
    assert schemas["graph_id"] == "look"
    assert "seen" in schemas["input_schema"]["properties"]
    assert "seen" in schemas["output_schema"]["properties"]
    assert schemas["state_schema"]["title"] == "look_state"
    assert schemas["context_schema"]["properties"].keys() == {"tone", "pace"}
    assert schemas["config_schema"] == schemas["context_schema"]


@covers("assistants.schemas")
async def test_a_graph_without_a_context_schema_has_none(client: LangGraphClient) -> None:
    schemas: Any = await client.assistants.get_schemas("echo")
    assert (schemas["config_schema"], schemas["context_schema"]) == ({}, None)


@covers("assistants.subgraphs")
async def test_subgraphs_have_schemas_by_namespace(client: LangGraphClient) -> None:
    found: Any = await client.assistants.get_subgraphs("parent", recurse=True)
    assert found.keys() == {"child"}
    assert "log" in found["child"]["input_schema"]["properties"]
    assert (await client.assistants.get_subgraphs("parent", "child")).keys() == {"child"}
    assert await client.assistants.get_subgraphs("parent", "nope") == {}


@covers("assistants.delete")
async def test_a_removed_assistant_is_gone(client: LangGraphClient) -> None:
    assistant = (await assistant_of(client))["assistant_id"]
    await client.assistants.delete(assistant)
    for again in (client.assistants.get, client.assistants.delete):
        with pytest.raises(NotFoundError):
            await again(assistant)


@covers("assistants.delete.threads")
@pytest.mark.parametrize("along", [True, False])
async def test_threads_go_with_their_assistant_if_asked_for(client: LangGraphClient, along: bool) -> None:
    assistant = (await assistant_of(client))["assistant_id"]
    theirs, other = await new_thread(client), await new_thread(client)
    await final(client, theirs, assistant, {"content": "x"})
    await final(client, other, "echo", {"content": "x"})
    await client.assistants.delete(assistant, delete_threads=along)
    left = {row["thread_id"] for row in await client.threads.search()}
    assert left == ({other} if along else {other, theirs})
