"""What FastGraph's backends promise of a BaseStore: it keeps JSON, and nobody shares an object with it."""

from datetime import UTC, datetime

import pytest
from langgraph.store.base import GetOp, PutOp

from fast_graph.storage.backend import Stores

USERS = ("users", "ada")


class ItemStoreConformance:
    """Takes the fixture ``stores`` (open and empty)."""

    async def test_what_was_put_is_got(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"deep": [{"a": None}], "n": 1.5})
        item = await stores.store.aget(USERS, "k")
        assert item is not None
        assert (item.value, item.key, item.namespace) == ({"deep": [{"a": None}], "n": 1.5}, "k", USERS)
        assert await stores.store.aget(USERS, "other") is None

    async def test_a_later_value_replaces_the_earlier(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"a": 1})
        await stores.store.aput(USERS, "k", {"b": 2})
        assert await self.value(stores) == {"b": 2}

    async def value(self, stores: Stores) -> object:
        """What is kept under the key that these tests use."""
        item = await stores.store.aget(USERS, "k")
        return None if item is None else item.value

    async def test_values_come_out_as_json_carries_them(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"pair": (1, 2)})
        assert await self.value(stores) == {"pair": [1, 2]}

    async def test_what_the_writer_changes_later_is_not_kept(self, stores: Stores) -> None:
        value = {"list": [1]}
        await stores.store.aput(USERS, "k", value)
        value["list"].append(2)
        assert await self.value(stores) == {"list": [1]}

    async def test_what_a_reader_changes_is_not_kept(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"list": [1]})
        item = await stores.store.aget(USERS, "k")
        assert item is not None
        item.value["list"].append(2)
        item.value["new"] = True
        assert await self.value(stores) == {"list": [1]}

    async def test_what_a_searcher_changes_is_not_kept(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"list": [1]})
        [found] = await stores.store.asearch(USERS)
        found.value["list"].append(2)
        assert await self.value(stores) == {"list": [1]}

    async def test_a_value_that_is_not_json_is_refused(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"a": 1})
        for value in ({"a": object()}, {"a": {1, 2}}):
            with pytest.raises(TypeError):
                await stores.store.aput(USERS, "k", value)
        assert await self.value(stores) == {"a": 1}

    async def test_a_batch_with_a_refused_value_changes_nothing(self, stores: Stores) -> None:
        with pytest.raises(TypeError):
            await stores.store.abatch([PutOp(USERS, "k", {"a": 1}), PutOp(USERS, "l", {"a": object()})])
        assert await self.value(stores) is None

    async def test_a_batch_answers_in_order(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"a": 1})
        put, got, missing = await stores.store.abatch(
            [PutOp(USERS, "l", {"b": 1}), GetOp(USERS, "k"), GetOp(USERS, "m")]
        )
        assert (put, missing) == (None, None)
        assert getattr(got, "value", None) == {"a": 1}

    async def test_a_deleted_item_is_gone(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"a": 1})
        await stores.store.aput(USERS, "l", {"a": 2})
        await stores.store.adelete(USERS, "k")
        assert await self.value(stores) is None
        assert [item.key for item in await stores.store.asearch(USERS)] == ["l"]

    async def test_a_search_looks_below_a_prefix_and_filters(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"kind": "a"})
        await stores.store.aput((*USERS, "deep"), "l", {"kind": "a"})
        await stores.store.aput((*USERS, "deep"), "m", {"kind": "b"})
        await stores.store.aput(("users", "bob"), "n", {"kind": "a"})
        found = await stores.store.asearch(USERS, filter={"kind": "a"})
        assert sorted(item.key for item in found) == ["k", "l"]
        pages = [await stores.store.asearch(USERS, limit=2, offset=at) for at in (0, 2)]
        assert [len(page) for page in pages] == [2, 1]
        assert {item.key for page in pages for item in page} == {"k", "l", "m"}

    async def test_a_search_finds_the_oldest_first(self, stores: Stores) -> None:
        for key, value in (("l", 1), ("k", 2), ("m", 3), ("l", 4)):
            await stores.store.aput(USERS, key, {"a": value})
        assert [item.key for item in await stores.store.asearch(USERS)] == ["l", "k", "m"]

    async def test_namespaces_that_hold_something_are_listed(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"a": 1})
        await stores.store.aput(("other",), "k", {"a": 1})
        assert sorted(await stores.store.alist_namespaces()) == [("other",), USERS]
        assert await stores.store.alist_namespaces(prefix=("users",)) == [USERS]
        assert sorted(await stores.store.alist_namespaces(max_depth=1)) == [("other",), ("users",)]

    async def test_an_emptied_namespace_is_not_listed(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"a": 1})
        await stores.store.adelete(USERS, "k")
        await stores.store.adelete(("never",), "k")
        assert await stores.store.alist_namespaces() == []

    async def test_a_namespace_that_was_only_read_is_not_listed(self, stores: Stores) -> None:
        assert await stores.store.aget(USERS, "k") is None
        assert await stores.store.asearch(USERS) == []
        assert await stores.store.alist_namespaces() == []

    async def test_items_say_when_they_were_written(self, stores: Stores) -> None:
        await stores.store.aput(USERS, "k", {"a": 1})
        item = await stores.store.aget(USERS, "k")
        assert item is not None
        assert datetime(2020, 1, 1, tzinfo=UTC) < item.created_at <= item.updated_at
