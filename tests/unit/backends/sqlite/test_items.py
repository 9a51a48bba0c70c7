"""Items in a SQLite file: restarts, and everything that is found just as in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.store.base import BaseStore, IndexConfig, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp
from langgraph.store.sqlite import AsyncSqliteStore

from fast_graph.backends.memory.items import MemoryStore
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.backends.sqlite.items import SqliteStore
from fast_graph.testing.clock import OwnedClock
from tests.unit.backends.sqlite.files import rows

USERS = ("users", "ada")
NAMESPACES = [("a",), ("a", "b"), ("a-b",), ("a", "b", "c"), ("ab",), ("A", "b"), ("b",), ("a/b", "*")]
KEYS = st.sampled_from(["k", "l", "odd key"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3, width=16), st.sampled_from("abc"))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2))
OPERATORS = st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])
CONDITIONS = st.one_of(VALUES, st.dictionaries(OPERATORS, SCALARS, min_size=1, max_size=2))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fast_graph.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteFile(path) as file:
        store = SqliteStore(file, OwnedClock())
        await store.setup()
        yield store


async def keys(store: BaseStore, prefix: tuple[str, ...], **how: Any) -> list[str]:
    return sorted(item.key for item in await store.asearch(prefix, **{"limit": 100, **how}))


async def test_items_outlive_a_restart(path: Path) -> None:
    clock = OwnedClock()
    for number in range(3):
        async with SqliteFile(path) as file:
            store = SqliteStore(file, clock)
            await store.setup()
            await store.aput(USERS, str(number), {"n": number})
            assert await keys(store, USERS) == [str(known) for known in range(number + 1)]


async def test_an_item_knows_when_it_was_made_and_changed(path: Path) -> None:
    clock = OwnedClock()
    async with SqliteFile(path) as file:
        store = SqliteStore(file, clock)
        await store.setup()
        made = clock()
        await store.aput(USERS, "k", {"n": 1})
        changed = clock.advance(1.5)
        await store.aput(USERS, "k", {"n": 2})
        item = await store.aget(USERS, "k")
    assert item is not None
    assert (item.created_at, item.updated_at) == (made, changed)


async def test_items_are_found_in_the_order_they_came(store: SqliteStore) -> None:
    for key in "bac":
        await store.aput(USERS, key, {})
    await store.aput(USERS, "b", {"again": True})
    assert [item.key for item in await store.asearch(USERS)] == ["b", "a", "c"]
    assert [item.key for item in await store.asearch(USERS, limit=1, offset=1)] == ["a"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.dictionaries(KEYS, VALUES), max_size=4), wanted=st.dictionaries(KEYS, CONDITIONS, max_size=2))
async def test_a_filter_lets_pass_what_it_does_in_memory(
    store: SqliteStore, values: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    memory = MemoryStore()
    puts = [PutOp(USERS, str(key), value) for key, value in enumerate(values)]
    forget = [PutOp(USERS, str(key), None) for key in range(4)]
    await store.abatch([*forget, *puts])
    await memory.abatch(puts)
    assert await keys(store, USERS, filter=wanted) == await keys(memory, USERS, filter=wanted)


async def test_an_unknown_operator_is_refused_as_in_memory(store: SqliteStore) -> None:
    await store.aput(USERS, "k", {"n": 1})
    with pytest.raises(ValueError, match="operator"):
        await store.asearch(USERS, filter={"n": {"$gt": 0, "$odd": 1}})


async def test_namespaces_are_found_as_in_memory(store: SqliteStore) -> None:
    memory = MemoryStore()
    for each in (store, memory):
        for namespace in NAMESPACES:
            await each.aput(namespace, ".".join(namespace), {})
    paths = [(), *NAMESPACES, ("*",), ("*", "b"), ("a", "*"), ("b", "*")]
    for path in paths:
        assert await keys(store, path) == await keys(memory, path)
        for conditions in ([("prefix", path)], [("suffix", path)], [("prefix", ("a",)), ("suffix", path)]):
            for depth in (None, 1, 2):
                matches = tuple(MatchCondition(kind, path) for kind, path in conditions)  # type: ignore[arg-type]
                op = ListNamespacesOp(match_conditions=matches, max_depth=depth, limit=3, offset=1)
                assert await store.abatch([op]) == await memory.abatch([op])


async def test_a_label_with_a_period_is_refused_in_a_batch_too(store: SqliteStore, path: Path) -> None:
    with pytest.raises(InvalidNamespaceError):
        await store.abatch([PutOp(USERS, "k", {}), PutOp(("a.b",), "k", {})])
    assert rows(path, "SELECT * FROM store") == []


async def test_threads_use_it_without_an_event_loop(store: SqliteStore) -> None:
    def use() -> Any:
        store.put(USERS, "k", {"n": 1})
        store.put(USERS, "l", {"n": 2})
        store.delete(USERS, "k")
        return store.get(USERS, "k"), [item.value for item in store.search(USERS)], store.list_namespaces()

    assert await asyncio.to_thread(use) == (None, [{"n": 2}], [USERS])


async def test_langgraphs_own_store_reads_the_file(store: SqliteStore, path: Path) -> None:
    await store.aput(USERS, "k", {"n": 1})
    async with AsyncSqliteStore.from_conn_string(str(path)) as theirs:
        await theirs.setup()
        item = await theirs.aget(USERS, "k")
    assert item is not None
    assert item.value == {"n": 1}


# -------------------------------------------------------------------- an index


def embed(texts: Sequence[str]) -> list[list[float]]:
    """How often each text says a, b and c."""
    return [[float(text.count(letter)) + 0.01 for letter in "abc"] for text in texts]


INDEX: IndexConfig = {"dims": 3, "embed": embed, "fields": ["said", "more[*]"]}


@pytest.fixture
async def indexed(path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteFile(path) as file:
        store = SqliteStore(file, OwnedClock(), index=INDEX)
        await store.setup()
        await store.setup()
        yield store


async def test_what_is_nearest_is_found_first(indexed: SqliteStore) -> None:
    await indexed.aput(USERS, "a", {"said": "aaa", "kind": 1})
    await indexed.aput(USERS, "b", {"said": "bbb", "more": ["c", "aab"], "kind": 1})
    await indexed.aput(USERS, "c", {"said": "ccc", "kind": 2})
    await indexed.aput(USERS, "silent", {"said": "aaa"}, index=False)
    await indexed.aput(("other",), "a", {"said": "aaa"})
    found = await indexed.asearch(USERS, query="aa")
    assert [item.key for item in found] == ["a", "b", "c", "silent"]
    assert [item.score and round(item.score, 2) for item in found] == [1.0, 0.9, 0.01, None]
    assert [item.key for item in await indexed.asearch(USERS, query="aa", filter={"kind": 1}, limit=1, offset=1)] == [
        "b"
    ]


async def test_what_an_item_said_before_is_not_found(indexed: SqliteStore, path: Path) -> None:
    await indexed.aput(USERS, "k", {"said": "aaa"})
    await indexed.aput(USERS, "k", {"said": "ccc"})
    await indexed.aput(USERS, "l", {"said": "aab"})
    assert [item.key for item in await indexed.asearch(USERS, query="aa")] == ["l", "k"]
    await indexed.adelete(USERS, "k")
    await indexed.adelete(USERS, "l")
    assert rows(path, "SELECT * FROM store_vectors") == []


async def test_threads_search_an_index(indexed: SqliteStore) -> None:
    def use() -> Any:
        indexed.put(USERS, "a", {"said": "a"})
        indexed.put(USERS, "b", {"said": "b"})
        return [item.key for item in indexed.search(USERS, query="b")]

    assert await asyncio.to_thread(use) == ["b", "a"]
