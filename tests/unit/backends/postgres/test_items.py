import asyncio
from typing import Any

import pytest
from langgraph.store.base import PutOp

from fast_graph.backends.memory.items import MemoryStore
from fast_graph.backends.postgres.items import PostgresStore
from fast_graph.backends.postgres.pool import Connections
from fast_graph.model.errors import ConfigurationError, InvalidError
from tests.unit.backends.postgres.graphs import chain
from tests.unit.backends.postgres.kept import Kept

ITEMS: dict[str, dict[str, Any]] = {
    "none": {},
    "null": {"n": None},
    "zero": {"n": 0},
    "nine": {"n": 9},
    "ten": {"n": 10},
    "float": {"n": 9.5},
    "digit": {"n": "9"},
    "upper": {"n": "B"},
    "lower": {"n": "a"},
    "accent": {"n": "ä"},
    "list": {"n": [1]},
    "object": {"n": {"a": {"b": 1}, "c": [2]}},
    "quoted": {"it's": "100%", "n": {"%s": 1}},
}
FILTERS: list[dict[str, Any]] = [
    {"n": 9},
    {"n": 10.0},
    {"n": "9"},
    {"n": None},
    {"n": [1]},
    {"n": {}},
    {"n": {"a": {"b": 1}}},
    {"n": {"a": {}}},
    {"n": {"a": {"b": {"$gt": 0}}, "c": [2]}},
    {"n": {"a": None}},
    {"n": {"missing": None}},
    {"n": {"%s": 1}},
    {"it's": "100%"},
    {"n": {"$eq": 9}},
    {"n": {"$eq": None}},
    {"n": {"$eq": {"a": {"b": 1}, "c": [2]}}},
    {"n": {"$ne": 9}},
    {"n": {"$ne": None}},
    {"n": {"$gt": 9}},
    {"n": {"$gte": 9}},
    {"n": {"$lt": 10}},
    {"n": {"$lte": 9.5, "$gt": 0}},
    {"n": {"$gt": "9"}},
    {"n": {"$gt": "B"}},
    {"n": {"$lt": "ä"}},
    {"n": {"$gt": None}},
    {"n": {"$gte": 9}, "x": None},
]


@pytest.mark.parametrize("wanted", FILTERS, ids=repr)
async def test_filters_find_what_they_find_in_memory(kept: Kept, wanted: dict[str, Any]) -> None:
    found = []
    for store in (kept.store, MemoryStore()):
        await store.abatch([PutOp(("a",), key, value) for key, value in ITEMS.items()])
        found.append(sorted(item.key for item in await store.asearch(("a",), filter=wanted, limit=100)))
    assert found[0] == found[1]


async def test_an_unknown_operator_is_refused(kept: Kept) -> None:
    with pytest.raises(ValueError, match=r"\$like"):
        await kept.store.asearch(("a",), filter={"n": {"$eq": 1, "$like": 1}})


async def test_a_value_may_have_any_character(kept: Kept) -> None:
    await kept.store.aput(("a",), "k", {"text": "n\0l 💚 \\u0000"})
    item = await kept.store.aget(("a",), "k")
    assert item is not None
    assert item.value == {"text": "n\ufffdl 💚 \\u0000"}
    assert [found.key for found in await kept.store.asearch(("a",), filter={"text": "n\0l 💚 \\u0000"})] == ["k"]


async def test_a_key_with_a_nul_character_is_refused_and_harms_nobody(kept: Kept) -> None:
    with pytest.raises(InvalidError, match="NUL"):
        await kept.store.abatch([PutOp(("a",), "k", {}), PutOp(("a",), "l\0", {})])
    assert await kept.store.asearch(("a",)) == []


async def test_a_node_in_a_thread_may_use_the_store(kept: Kept) -> None:
    def uses(state: Any) -> Any:
        kept.store.put(("a",), "k", {"n": 1})
        item = kept.store.get(("a",), "k")
        return {"log": [item and item.value]}

    assert await chain(None, uses).ainvoke({"log": []}) == {"log": [{"n": 1}]}
    with pytest.raises(RuntimeError, match="asynchronous"):
        kept.store.get(("a",), "k")


async def test_many_operations_share_few_connections(kept: Kept) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(kept.store.aput(("a",), str(number), {"n": number}))
    assert await kept.count("store") == 100


async def test_a_search_by_meaning_needs_pgvector(postgres_url: str) -> None:
    def embed(texts: Any) -> list[list[float]]:
        return [[0.0] for _ in texts]

    async with Connections(postgres_url) as connections:
        store = PostgresStore(connections, index={"dims": 1, "embed": embed})
        with pytest.raises(ConfigurationError, match="pgvector"):
            await store.setup()
