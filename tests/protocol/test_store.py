from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from tests.protocol.requirements import covers
from tests.protocol.talking import final


async def filled(client: LangGraphClient) -> None:
    """Items 0 to 5: even ones in shop/a, odd ones in shop/b, the last without a price."""
    for number in range(6):
        value = {"n": number, "kind": "even" if number % 2 == 0 else "odd", "price": number * 1.5}
        if number == 5:
            del value["price"]
        await client.store.put_item(["shop", "ab"[number % 2]], key=f"k{number}", value=value)


async def keys(client: LangGraphClient, *prefix: str, **options: Any) -> list[str]:
    """The keys that a search finds."""
    return [item["key"] for item in (await client.store.search_items(list(prefix), **options))["items"]]


@covers("store.put", "store.get")
async def test_an_item_is_stored_and_replaced(client: LangGraphClient) -> None:
    await client.store.put_item(["a", "b"], key="k", value={"n": 1})
    first = await client.store.get_item(["a", "b"], key="k")
    assert (first["namespace"], first["key"], first["value"]) == (["a", "b"], "k", {"n": 1})
    await client.store.put_item(["a", "b"], key="k", value={"n": 2})
    second = await client.store.get_item(["a", "b"], key="k")
    assert second["value"] == {"n": 2}
    assert second["updated_at"] > first["updated_at"]


@covers("store.get")
async def test_an_absent_item_is_null(client: LangGraphClient) -> None:
    absent: Any = await client.store.get_item(["a"], key="nothing")
    assert absent is None


@covers("store.get.nowhere")
@pytest.mark.parametrize("query", [{"key": "k"}, {"namespace": "a", "key": ""}, {"namespace": "", "key": "k"}])
async def test_nothing_is_nowhere(http: httpx.AsyncClient, query: dict[str, str]) -> None:
    response = await http.get("/store/items", params=query)
    assert (response.status_code, response.json()) == (200, None)


@covers("store.put.invalid")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"namespace": [], "key": "k", "value": {}}, 400),
        ({"namespace": ["langgraph"], "key": "k", "value": {}}, 400),
        ({"namespace": [""], "key": "k", "value": {}}, 422),
        ({"namespace": ["a.b"], "key": "k", "value": {}}, 422),
        ({"namespace": "a", "key": "k", "value": {}}, 422),
        ({"namespace": ["a"], "value": {}}, 422),
        ({"namespace": ["a"], "key": "k"}, 422),
        ({"namespace": ["a"], "key": "k", "value": "text"}, 422),
        ({"namespace": ["a"], "key": "k", "value": {}, "index": "all"}, 422),
        ({"namespace": ["a"], "key": "k", "value": {}, "ttl": -1}, 422),
    ],
)
async def test_items_that_cannot_be_are_refused(http: httpx.AsyncClient, body: dict[str, Any], status: int) -> None:
    assert (await http.put("/store/items", json=body)).status_code == status
    assert (await http.post("/store/items/search", json={})).json() == {"items": []}


@covers("store.index")
@pytest.mark.parametrize("index", [False, ["n"], None])
async def test_an_item_may_say_what_of_it_is_indexed(client: LangGraphClient, index: Any) -> None:
    await client.store.put_item(["a"], key="k", value={"n": 1}, index=index)
    assert (await client.store.get_item(["a"], key="k"))["value"] == {"n": 1}


@covers("store.ttl")
async def test_a_ttl_is_accepted_and_not_acted_upon(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    body = {"namespace": ["a"], "key": "k", "value": {"n": 1}, "ttl": 0.00001}
    assert (await http.put("/store/items", json=body)).status_code == 204
    assert (await client.store.get_item(["a"], key="k", refresh_ttl=True))["value"] == {"n": 1}
    assert await keys(client, "a", refresh_ttl=False) == ["k"]


@covers("store.delete")
async def test_a_removed_item_is_gone(client: LangGraphClient) -> None:
    await client.store.put_item(["a"], key="k", value={})
    for _ in range(2):
        await client.store.delete_item(["a"], key="k")
    absent: Any = await client.store.get_item(["a"], key="k")
    assert absent is None


@covers("store.search")
async def test_search_finds_what_is_below_a_namespace(client: LangGraphClient) -> None:
    await filled(client)
    assert await keys(client, "shop", "a") == ["k0", "k2", "k4"]
    assert sorted(await keys(client, "shop")) == ["k0", "k1", "k2", "k3", "k4", "k5"]
    assert await keys(client, "nowhere") == []
    assert await keys(client, "sho") == []


@covers("store.search")
async def test_search_comes_in_pages(client: LangGraphClient) -> None:
    await filled(client)
    pages = [await keys(client, "shop", limit=4, offset=offset) for offset in (0, 4, 8)]
    assert [len(page) for page in pages] == [4, 2, 0]
    assert sorted(pages[0] + pages[1]) == ["k0", "k1", "k2", "k3", "k4", "k5"]


@covers("store.search.query")
async def test_a_query_changes_nothing_without_an_index(client: LangGraphClient) -> None:
    await filled(client)
    found = (await client.store.search_items(["shop", "a"], query="something even"))["items"]
    assert [item["key"] for item in found] == ["k0", "k2", "k4"]
    assert {item["score"] for item in found} == {None}


@covers("store.filter")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"kind": "even"}, ["k0", "k2", "k4"]),
        ({"kind": "even", "n": 2}, ["k2"]),
        ({"n": {"$eq": 3}}, ["k3"]),
        ({"n": {"$ne": 3}}, ["k0", "k1", "k2", "k4", "k5"]),
        ({"n": {"$gt": 3}}, ["k4", "k5"]),
        ({"n": {"$gte": 4}}, ["k4", "k5"]),
        ({"n": {"$lt": 1}}, ["k0"]),
        ({"n": {"$lte": 1}}, ["k0", "k1"]),
        ({"n": {"$gt": 1, "$lt": 4}}, ["k2", "k3"]),
    ],
)
async def test_values_are_compared(client: LangGraphClient, wanted: dict[str, Any], found: list[str]) -> None:
    await filled(client)
    assert sorted(await keys(client, "shop", filter=wanted)) == found


@covers("store.filter")
@pytest.mark.parametrize("condition", [{"$like": 1}, {"$gt": "much"}, {"$lte": None}])
async def test_comparisons_that_cannot_be_are_refused(http: httpx.AsyncClient, condition: dict[str, Any]) -> None:
    body = {"namespace_prefix": ["shop"], "filter": {"n": condition}}
    assert (await http.post("/store/items/search", json=body)).status_code == 400


@covers("store.filter.absent")
@pytest.mark.parametrize(("operator", "found"), [("$gt", ["k3", "k4"]), ("$lte", ["k0", "k1", "k2"])])
async def test_comparing_an_absent_key_passes_over_the_item(
    client: LangGraphClient, operator: str, found: list[str]
) -> None:
    await filled(client)
    assert sorted(await keys(client, "shop", filter={"price": {operator: 3.0}})) == found


@covers("store.search.everywhere")
async def test_without_a_prefix_search_looks_everywhere(client: LangGraphClient, http: httpx.AsyncClient) -> None:
    await filled(client)
    await client.store.put_item(["elsewhere"], key="k9", value={})
    response = await http.post("/store/items/search", json={})
    assert len(response.json()["items"]) == 7


async def namespaces(client: LangGraphClient, **options: Any) -> Any:
    return (await client.store.list_namespaces(**options))["namespaces"]


@covers("store.namespaces")
async def test_namespaces_are_listed(client: LangGraphClient) -> None:
    await filled(client)
    await client.store.put_item(["house", "b", "deep"], key="k", value={})
    everything = [["house", "b", "deep"], ["shop", "a"], ["shop", "b"]]
    assert await namespaces(client) == everything
    assert await namespaces(client, prefix=["shop"]) == everything[1:]
    assert await namespaces(client, suffix=["b"]) == [["shop", "b"]]
    assert await namespaces(client, prefix=["*", "b"]) == [["house", "b", "deep"], ["shop", "b"]]
    assert await namespaces(client, max_depth=1) == [["house"], ["shop"]]
    assert await namespaces(client, limit=1, offset=1) == everything[1:2]
    assert await namespaces(client, prefix=["nowhere"]) == []


@covers("store.namespaces.emptied")
async def test_a_namespace_without_items_is_not_listed(client: LangGraphClient) -> None:
    await client.store.put_item(["a"], key="k", value={})
    await client.store.delete_item(["a"], key="k")
    assert await namespaces(client) == []


@covers("store.graphs")
async def test_graphs_and_clients_see_the_same_items(client: LangGraphClient) -> None:
    values = await final(client, None, "store", {"key": "k", "text": "from a graph"})
    assert values["found"] == {"text": "from a graph"}
    assert (await client.store.get_item(["contract", "graph"], key="k"))["value"] == {"text": "from a graph"}
