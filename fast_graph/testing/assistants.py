"""The promises of the AssistantStore port."""

from dataclasses import replace

import pytest

from fast_graph.model.errors import ConfigurationError, ConflictError, NotFoundError
from fast_graph.model.queries import AssistantQuery
from fast_graph.model.records import EVERYTHING, Assistant
from fast_graph.storage.backend import Stores
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_assistant, new_id

MINE, THEIRS = {"owner": "me"}, {"owner": "you"}


class AssistantStoreConformance:
    """Takes the fixtures ``stores`` (open and empty) and ``clock`` (theirs)."""

    async def add(self, stores: Stores, clock: OwnedClock, **changes: object) -> Assistant:
        """Store a new assistant."""
        assistant = new_assistant(clock, **changes)
        await stores.assistants.create(assistant)
        return assistant

    async def names(self, stores: Stores, query: AssistantQuery) -> list[str]:
        """The names on the page that a search returns."""
        page = await stores.assistants.search(query, scope=EVERYTHING)
        return [row.name for row in page.rows]

    async def test_what_was_created_reads_back_equal(self, stores: Stores, clock: OwnedClock) -> None:
        assistant = await self.add(
            stores,
            clock,
            config={"tags": ["a"], "recursion_limit": 5, "configurable": {"model": "m"}},
            context={"user": {"age": 7}},
            metadata={"owner": "me", "deep": [{"a": None}]},
            description="of use",
        )
        assert await stores.assistants.get(assistant.assistant_id, scope=EVERYTHING) == assistant
        assert assistant.version == 1

    async def test_an_id_is_taken_once(self, stores: Stores, clock: OwnedClock) -> None:
        first = await self.add(stores, clock, name="first")
        second = new_assistant(clock, assistant_id=first.assistant_id, name="second")
        with pytest.raises(ConflictError):
            await stores.assistants.create(second)
        assert await stores.assistants.get(first.assistant_id, scope=EVERYTHING) == first

    async def test_an_unknown_assistant_is_not_found(self, stores: Stores, clock: OwnedClock) -> None:
        await self.add(stores, clock)
        await self.assert_absent(stores, new_id(), scope={})

    async def test_a_row_outside_the_scope_does_not_exist(self, stores: Stores, clock: OwnedClock) -> None:
        mine = await self.add(stores, clock, name="mine", metadata=MINE)
        theirs = await self.add(stores, clock, name="theirs", metadata=THEIRS)
        await self.assert_absent(stores, theirs.assistant_id, scope=MINE)
        page = await stores.assistants.search(AssistantQuery(), scope=MINE)
        assert ([row.name for row in page.rows], page.total) == (["mine"], 1)
        assert await stores.assistants.get(theirs.assistant_id, scope=THEIRS) == theirs
        assert await stores.assistants.get(mine.assistant_id, scope=MINE) == mine

    async def assert_absent(self, stores: Stores, assistant_id: str, *, scope: dict[str, str]) -> None:
        """No method of the port sees the assistant."""
        store = stores.assistants
        with pytest.raises(NotFoundError):
            await store.get(assistant_id, scope=scope)
        with pytest.raises(NotFoundError):
            await store.update(assistant_id, {"name": "x"}, scope=scope)
        with pytest.raises(NotFoundError):
            await store.versions(assistant_id, metadata={}, limit=9, offset=0, scope=scope)
        with pytest.raises(NotFoundError):
            await store.set_latest(assistant_id, 1, scope=scope)
        with pytest.raises(NotFoundError):
            await store.delete(assistant_id, scope=scope)

    async def test_a_scope_may_ask_for_a_member_of_a_list(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(stores, clock, metadata={"team": ["a", "b"], "owner": "me"})
        both = {"team": {"$contains": ["a", "b"]}, "owner": {"$eq": "me"}}
        assert await stores.assistants.get(row.assistant_id, scope=both) == row
        with pytest.raises(NotFoundError):
            await stores.assistants.get(row.assistant_id, scope={"team": {"$contains": "c"}})

    async def test_a_scope_may_ask_for_one_of_several(self, stores: Stores, clock: OwnedClock) -> None:
        mine = await self.add(stores, clock, metadata=MINE)
        nobodys = await self.add(stores, clock, metadata={})
        await self.add(stores, clock, metadata=THEIRS)
        page = await stores.assistants.search(AssistantQuery(), scope={"owner": {"$in": ["me", None]}})
        assert {row.assistant_id for row in page.rows} == {mine.assistant_id, nobodys.assistant_id}

    async def test_a_scope_that_is_not_understood_is_refused(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(stores, clock, metadata=MINE)
        with pytest.raises(ConfigurationError):
            await stores.assistants.get(row.assistant_id, scope={"owner": {"$ne": "you"}})

    async def test_nobody_shares_an_object_with_the_store(self, stores: Stores, clock: OwnedClock) -> None:
        metadata = {"list": [1]}
        row = await self.add(stores, clock, metadata=metadata)
        metadata["list"].append(2)
        read = await stores.assistants.get(row.assistant_id, scope=EVERYTHING)
        assert read.metadata == {"list": [1]}
        read.metadata["list"].append(3)
        again = await stores.assistants.get(row.assistant_id, scope=EVERYTHING)
        assert again.metadata == {"list": [1]}

    async def test_a_search_finds_metadata_that_contains_the_given(self, stores: Stores, clock: OwnedClock) -> None:
        await self.add(stores, clock, name="both", metadata={"a": 1, "b": {"c": [1, 2], "d": 0}})
        await self.add(stores, clock, name="other", metadata={"a": 2, "b": {"c": [2]}})
        await self.add(stores, clock, name="bool", metadata={"a": True})
        assert await self.names(stores, AssistantQuery(metadata={"a": 1})) == ["both"]
        assert await self.names(stores, AssistantQuery(metadata={"a": 1.0})) == ["both"]
        assert await self.names(stores, AssistantQuery(metadata={"b": {"c": [1]}})) == ["both"]
        assert await self.names(stores, AssistantQuery(metadata={"b": {"c": [2]}})) == ["other", "both"]

    async def test_a_search_finds_the_assistants_of_a_graph(self, stores: Stores, clock: OwnedClock) -> None:
        await self.add(stores, clock, name="one", graph_id="g1")
        await self.add(stores, clock, name="two", graph_id="g2")
        assert await self.names(stores, AssistantQuery(graph_id="g2")) == ["two"]

    async def test_a_search_finds_a_part_of_the_name_in_any_case(self, stores: Stores, clock: OwnedClock) -> None:
        await self.add(stores, clock, name="Research Agent")
        await self.add(stores, clock, name="100% _sure")
        assert await self.names(stores, AssistantQuery(name="sEARCH a")) == ["Research Agent"]
        assert await self.names(stores, AssistantQuery(name="%")) == ["100% _sure"]
        assert await self.names(stores, AssistantQuery(name="_")) == ["100% _sure"]

    async def test_the_total_counts_every_match(self, stores: Stores, clock: OwnedClock) -> None:
        for number in range(5):
            await self.add(stores, clock, metadata={"even": number % 2 == 0})
        query = AssistantQuery(metadata={"even": True}, limit=1, offset=1)
        page = await stores.assistants.search(query, scope=EVERYTHING)
        assert (len(page.rows), page.total) == (1, 3)

    async def test_pages_follow_each_other_newest_first(self, stores: Stores, clock: OwnedClock) -> None:
        for name in ("b", "c", "a"):
            await self.add(stores, clock, name=name)
        assert await self.names(stores, AssistantQuery(limit=2)) == ["a", "c"]
        assert await self.names(stores, AssistantQuery(limit=2, offset=2)) == ["b"]

    async def test_a_search_is_sorted_as_asked(self, stores: Stores, clock: OwnedClock) -> None:
        for name in ("b", "c", "a"):
            await self.add(stores, clock, name=name)
        assert await self.names(stores, AssistantQuery(sort_order="asc")) == ["b", "c", "a"]
        assert await self.names(stores, AssistantQuery(sort_by="name", sort_order="asc")) == ["a", "b", "c"]
        assert await self.names(stores, AssistantQuery(sort_by="name")) == ["c", "b", "a"]

    async def test_an_update_merges_metadata_and_replaces_the_rest(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(
            stores, clock, name="old", metadata={"a": 1, "b": 1}, config={"tags": ["x"]}, context={"k": 1}
        )
        now = clock.advance(5)
        changes = {"name": "new", "metadata": {"b": 2}, "config": {"recursion_limit": 3}}
        updated = await stores.assistants.update(row.assistant_id, changes, scope=EVERYTHING)
        assert updated == replace(
            row,
            name="new",
            metadata={"a": 1, "b": 2},
            config={"recursion_limit": 3},
            version=2,
            updated_at=now,
        )
        assert await stores.assistants.get(row.assistant_id, scope=EVERYTHING) == updated

    async def test_an_update_is_found_by_what_it_became(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(stores, clock, name="old", metadata={"a": 1})
        changes = {"name": "new", "metadata": {"a": 2}}
        await stores.assistants.update(row.assistant_id, changes, scope=EVERYTHING)
        assert await self.names(stores, AssistantQuery(metadata={"a": 1})) == []
        assert await self.names(stores, AssistantQuery(metadata={"a": 2})) == ["new"]
        assert await self.names(stores, AssistantQuery(name="old")) == []

    async def test_an_update_that_leaves_the_scope_is_still_answered(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(stores, clock, metadata=MINE)
        given_away = await stores.assistants.update(row.assistant_id, {"metadata": THEIRS}, scope=MINE)
        assert given_away.metadata == THEIRS

    async def test_a_version_number_is_one_above_the_highest_that_ever_was(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        row = await self.add(stores, clock)
        for name in ("second", "third"):
            await stores.assistants.update(row.assistant_id, {"name": name}, scope=EVERYTHING)
        await stores.assistants.set_latest(row.assistant_id, 1, scope=EVERYTHING)
        fourth = await stores.assistants.update(row.assistant_id, {"name": "fourth"}, scope=EVERYTHING)
        assert fourth.version == 4

    async def test_versions_come_newest_first_and_stay_as_they_were(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(stores, clock, name="v1")
        for name in ("v2", "v3"):
            await stores.assistants.update(row.assistant_id, {"name": name}, scope=EVERYTHING)
        versions = await stores.assistants.versions(row.assistant_id, metadata={}, limit=10, offset=0, scope=EVERYTHING)
        assert [(v.version, v.name) for v in versions] == [(3, "v3"), (2, "v2"), (1, "v1")]
        assert versions[-1] == row

    async def test_versions_are_filtered_and_paged(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(stores, clock, metadata={"even": False})
        for number in range(2, 7):
            changes = {"metadata": {"even": number % 2 == 0}}
            await stores.assistants.update(row.assistant_id, changes, scope=EVERYTHING)
        even = await stores.assistants.versions(
            row.assistant_id, metadata={"even": True}, limit=2, offset=1, scope=EVERYTHING
        )
        assert [v.version for v in even] == [4, 2]

    async def test_set_latest_brings_an_earlier_version_back_and_makes_no_new_one(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        row = await self.add(stores, clock, name="first", metadata={"a": 1})
        changes = {"name": "second", "metadata": {"b": 1}}
        await stores.assistants.update(row.assistant_id, changes, scope=EVERYTHING)
        back = await stores.assistants.set_latest(row.assistant_id, 1, scope=EVERYTHING)
        assert (back.name, back.metadata, back.version) == ("first", {"a": 1}, 1)
        assert await stores.assistants.get(row.assistant_id, scope=EVERYTHING) == back
        versions = await stores.assistants.versions(row.assistant_id, metadata={}, limit=10, offset=0, scope=EVERYTHING)
        assert [v.version for v in versions] == [2, 1]

    async def test_set_latest_refuses_a_version_that_never_was(self, stores: Stores, clock: OwnedClock) -> None:
        row = await self.add(stores, clock)
        with pytest.raises(NotFoundError):
            await stores.assistants.set_latest(row.assistant_id, 2, scope=EVERYTHING)
        assert await stores.assistants.get(row.assistant_id, scope=EVERYTHING) == row

    async def test_a_deleted_assistant_takes_its_versions_along(self, stores: Stores, clock: OwnedClock) -> None:
        row, other = await self.add(stores, clock), await self.add(stores, clock, name="other")
        await stores.assistants.update(row.assistant_id, {"name": "second"}, scope=EVERYTHING)
        await stores.assistants.delete(row.assistant_id, scope=EVERYTHING)
        await self.assert_absent(stores, row.assistant_id, scope={})
        assert await self.names(stores, AssistantQuery()) == [other.name]
        await stores.assistants.create(row)
        versions = await stores.assistants.versions(row.assistant_id, metadata={}, limit=10, offset=0, scope=EVERYTHING)
        assert versions == [row]
