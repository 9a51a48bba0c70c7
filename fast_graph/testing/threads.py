"""The promises of the ThreadStore port."""

from dataclasses import replace
from typing import Any, ClassVar

import orjson
import pytest

from fast_graph.model.errors import CapacityError, ConfigurationError, ConflictError, LeaseLostError, NotFoundError
from fast_graph.model.queries import ThreadQuery
from fast_graph.model.records import EVERYTHING, Failure, ThreadState
from fast_graph.storage.backend import Stores
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import (
    LEASE,
    WORKER,
    add_run,
    add_running,
    add_thread,
    new_id,
    new_outcome,
    new_thread,
    run_of,
    shown,
    thread_of,
)

MINE, THEIRS = {"owner": "me"}, {"owner": "you"}
STATE = ThreadState(values=b'{"n":1}', interrupts={"task": [{"id": "i", "value": "sure?"}]})


class ThreadStoreConformance:
    """Takes the fixtures ``stores`` (open and empty) and ``clock`` (theirs)."""

    most_threads: ClassVar[int | None] = None
    """The bound that the ``stores`` fixture was given, if the backend has one: make it small."""

    async def found(self, stores: Stores, query: ThreadQuery, scope: dict[str, Any] | None = None) -> list[str]:
        """The ids on the page that a search returns."""
        page = await stores.threads.search(query, scope=scope or EVERYTHING)
        return [row.thread_id for row in page.rows]

    async def test_what_was_created_reads_back_equal(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock, metadata={"owner": "me", "deep": [{"a": None}]})
        assert await stores.threads.get(thread.thread_id, scope=EVERYTHING) == thread
        assert thread.status == "idle"

    async def test_an_id_is_taken_once(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_thread(stores, clock, metadata={"n": 1})
        with pytest.raises(ConflictError):
            await stores.threads.create(new_thread(clock, thread_id=first.thread_id))
        assert await stores.threads.get(first.thread_id, scope=EVERYTHING) == first

    async def test_a_full_store_takes_no_more(self, stores: Stores, clock: OwnedClock) -> None:
        if self.most_threads is None:
            pytest.skip("this backend has no bound")
        first, *_ = [await add_thread(stores, clock) for _ in range(self.most_threads)]
        refused = new_thread(clock)
        with pytest.raises(CapacityError):
            await stores.threads.create(refused)
        with pytest.raises(NotFoundError):
            await stores.threads.get(refused.thread_id, scope=EVERYTHING)
        await stores.threads.delete(first.thread_id, scope=EVERYTHING)
        await stores.threads.create(refused)

    async def test_an_unknown_thread_is_not_found(self, stores: Stores, clock: OwnedClock) -> None:
        await add_thread(stores, clock)
        await self.assert_absent(stores, new_id(), scope={})

    async def test_a_row_outside_the_scope_does_not_exist(self, stores: Stores, clock: OwnedClock) -> None:
        mine = await add_thread(stores, clock, metadata=MINE)
        theirs = await add_thread(stores, clock, metadata=THEIRS)
        await self.assert_absent(stores, theirs.thread_id, scope=MINE)
        page = await stores.threads.search(ThreadQuery(), scope=MINE)
        assert ([row.thread_id for row in page.rows], page.total) == ([mine.thread_id], 1)
        assert await stores.threads.get(theirs.thread_id, scope=THEIRS) == theirs
        assert await stores.threads.get(mine.thread_id, scope=MINE) == mine

    async def assert_absent(self, stores: Stores, thread_id: str, *, scope: dict[str, str]) -> None:
        """No method of the port sees the thread."""
        store = stores.threads
        with pytest.raises(NotFoundError):
            await store.get(thread_id, scope=scope)
        with pytest.raises(NotFoundError):
            await store.patch(thread_id, metadata={"a": 1}, scope=scope)
        with pytest.raises(NotFoundError):
            await store.delete(thread_id, scope=scope)
        with pytest.raises(NotFoundError):
            await store.put_state(thread_id, STATE, status="idle", metadata={}, scope=scope)
        with pytest.raises(NotFoundError):
            async with store.hold(thread_id, scope=scope):
                pass

    async def test_a_scope_may_ask_for_a_member_of_a_list(self, stores: Stores, clock: OwnedClock) -> None:
        row = await add_thread(stores, clock, metadata={"team": ["a", "b"], "owner": "me"})
        both = {"team": {"$contains": ["a", "b"]}, "owner": {"$eq": "me"}}
        assert await self.found(stores, ThreadQuery(), both) == [row.thread_id]
        assert await self.found(stores, ThreadQuery(), {"team": {"$contains": "c"}}) == []

    async def test_a_scope_may_ask_for_one_of_several(self, stores: Stores, clock: OwnedClock) -> None:
        mine = await add_thread(stores, clock, metadata=MINE)
        nobodys = await add_thread(stores, clock, metadata={})
        await add_thread(stores, clock, metadata=THEIRS)
        found = await self.found(stores, ThreadQuery(), {"owner": {"$in": ["me", None]}})
        assert sorted(found) == sorted([mine.thread_id, nobodys.thread_id])
        assert await self.found(stores, ThreadQuery(), {"owner": {"$in": []}}) == []

    async def test_a_scope_that_is_not_understood_is_refused(self, stores: Stores, clock: OwnedClock) -> None:
        await add_thread(stores, clock, metadata=MINE)
        for scope in ({"owner": {"$ne": "you"}}, {"$or": [MINE, THEIRS]}):
            with pytest.raises(ConfigurationError):
                await stores.threads.search(ThreadQuery(), scope=scope)

    async def test_nobody_shares_an_object_with_the_store(self, stores: Stores, clock: OwnedClock) -> None:
        metadata = {"list": [1]}
        thread = await add_thread(stores, clock, metadata=metadata)
        metadata["list"].append(2)
        read = await stores.threads.get(thread.thread_id, scope=EVERYTHING)
        assert read.metadata == {"list": [1]}
        read.metadata["list"].append(3)
        again = await stores.threads.get(thread.thread_id, scope=EVERYTHING)
        assert again.metadata == {"list": [1]}

    async def test_a_search_finds_metadata_that_contains_the_given(self, stores: Stores, clock: OwnedClock) -> None:
        both = await add_thread(stores, clock, metadata={"a": 1, "b": {"c": [1, 2]}})
        other = await add_thread(stores, clock, metadata={"a": 2, "b": {"c": [2]}})
        await add_thread(stores, clock, metadata={"a": True})
        assert await self.found(stores, ThreadQuery(metadata={"a": 1})) == [both.thread_id]
        assert await self.found(stores, ThreadQuery(metadata={"b": {"c": [1]}})) == [both.thread_id]
        nested = await self.found(stores, ThreadQuery(metadata={"b": {"c": [2]}}))
        assert nested == [other.thread_id, both.thread_id]

    async def test_a_search_finds_values_that_contain_the_given(self, stores: Stores, clock: OwnedClock) -> None:
        one, two = await add_thread(stores, clock), await add_thread(stores, clock)
        for thread, values in ((one, {"n": 1, "l": ["x"]}), (two, {"n": 2})):
            state = ThreadState(values=orjson.dumps(values))
            await stores.threads.put_state(thread.thread_id, state, status="idle", metadata={}, scope=EVERYTHING)
        await add_thread(stores, clock)
        assert await self.found(stores, ThreadQuery(values={"n": 1})) == [one.thread_id]
        assert await self.found(stores, ThreadQuery(values={"l": ["x"]})) == [one.thread_id]

    async def test_a_search_finds_by_status(self, stores: Stores, clock: OwnedClock) -> None:
        idle = await add_thread(stores, clock)
        busy = await add_run(stores, clock)
        assert await self.found(stores, ThreadQuery(status="busy")) == [busy.thread_id]
        assert await self.found(stores, ThreadQuery(status="idle")) == [idle.thread_id]

    async def test_a_search_finds_by_id(self, stores: Stores, clock: OwnedClock) -> None:
        one, two, _ = [await add_thread(stores, clock) for _ in range(3)]
        wanted = [one.thread_id, new_id(), two.thread_id]
        assert await self.found(stores, ThreadQuery(ids=wanted)) == [two.thread_id, one.thread_id]
        assert await self.found(stores, ThreadQuery(ids=[])) == []

    async def test_the_total_counts_every_match(self, stores: Stores, clock: OwnedClock) -> None:
        for number in range(5):
            await add_thread(stores, clock, metadata={"even": number % 2 == 0})
        query = ThreadQuery(metadata={"even": True}, limit=1, offset=1)
        page = await stores.threads.search(query, scope=EVERYTHING)
        assert (len(page.rows), page.total) == (1, 3)

    async def test_pages_follow_each_other_newest_first(self, stores: Stores, clock: OwnedClock) -> None:
        one, two, three = [(await add_thread(stores, clock)).thread_id for _ in range(3)]
        assert await self.found(stores, ThreadQuery(limit=2)) == [three, two]
        assert await self.found(stores, ThreadQuery(limit=2, offset=2)) == [one]

    async def test_a_search_is_sorted_as_asked(self, stores: Stores, clock: OwnedClock) -> None:
        low, middle, high = sorted(new_id() for _ in range(3))
        for thread_id in (middle, low, high):
            await add_thread(stores, clock, thread_id=thread_id)
        clock.advance(1)
        await stores.threads.patch(low, metadata={"a": 1}, scope=EVERYTHING)
        assert await self.found(stores, ThreadQuery(sort_order="asc")) == [middle, low, high]
        assert await self.found(stores, ThreadQuery(sort_by="updated_at")) == [low, high, middle]
        by_id = await self.found(stores, ThreadQuery(sort_by="thread_id", sort_order="asc"))
        assert by_id == [low, middle, high]

    async def test_a_patch_merges_metadata_and_touches_nothing_else(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock, metadata={"a": 1, "b": {"x": 1}})
        now = clock.advance(5)
        patched = await stores.threads.patch(thread.thread_id, metadata={"b": {"y": 2}, "c": 3}, scope=EVERYTHING)
        assert patched == replace(thread, metadata={"a": 1, "b": {"y": 2}, "c": 3}, updated_at=now)
        assert await stores.threads.get(thread.thread_id, scope=EVERYTHING) == patched
        assert await self.found(stores, ThreadQuery(metadata={"c": 3})) == [thread.thread_id]

    async def test_a_patch_that_leaves_the_scope_is_still_answered(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock, metadata=MINE)
        patched = await stores.threads.patch(thread.thread_id, metadata=THEIRS, scope=MINE)
        assert patched.metadata == THEIRS

    async def test_a_deleted_thread_takes_its_runs_along(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        waiting = await add_run(stores, clock, lease.run.thread_id)
        other = await add_run(stores, clock)
        await stores.threads.delete(waiting.thread_id, scope=EVERYTHING)
        await self.assert_absent(stores, waiting.thread_id, scope={})
        for run in (lease.run, waiting):
            with pytest.raises(NotFoundError):
                await run_of(stores, run)
        claimed = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert [left.run.run_id for left in claimed] == [other.run_id]

    async def test_the_holder_of_a_run_loses_its_lease_with_the_thread(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.threads.delete(lease.run.thread_id, scope=EVERYTHING)
        [renewal] = await stores.queue.renew([lease], lease_for=LEASE)
        assert not renewal.fresh
        with pytest.raises(LeaseLostError):
            await stores.queue.finish(lease, new_outcome())
        with pytest.raises(NotFoundError):
            await thread_of(stores, lease.run)

    async def test_a_deleted_thread_may_be_made_again(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.threads.delete(lease.run.thread_id, scope=EVERYTHING)
        await add_thread(stores, clock, thread_id=lease.run.thread_id)
        run = await add_run(stores, clock, lease.run.thread_id)
        [claimed] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert claimed.run.run_id == run.run_id

    async def test_no_run_starts_on_a_held_thread_until_the_hold_ends(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock)
        async with stores.threads.hold(thread.thread_id, scope=EVERYTHING) as held:
            assert held == thread
            run = await add_run(stores, clock, thread.thread_id)
            assert await stores.queue.claim(WORKER, limit=9, lease_for=LEASE) == []
            assert await stores.queue.claim_run(run.run_id, WORKER, lease_for=LEASE) is None
        [claimed] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert claimed.run.run_id == run.run_id

    async def test_a_hold_is_refused_while_a_run_is_in_flight(self, stores: Stores, clock: OwnedClock) -> None:
        running = (await add_running(stores, clock)).run
        pending = await add_run(stores, clock)
        later = await add_run(stores, clock, due_at=clock().replace(year=2099))
        for run in (running, pending, later):
            with pytest.raises(ConflictError):
                async with stores.threads.hold(run.thread_id, scope=EVERYTHING):
                    pass
        [claimed] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert claimed.run.run_id == pending.run_id

    async def test_one_edit_at_a_time(self, stores: Stores, clock: OwnedClock) -> None:
        thread, other = await add_thread(stores, clock), await add_thread(stores, clock)
        async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
            with pytest.raises(ConflictError):
                async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
                    pass
            with pytest.raises(ConflictError):
                async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
                    pass
            async with stores.threads.hold(other.thread_id, scope=EVERYTHING):
                pass
        async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
            pass

    async def test_a_hold_holds_back_its_own_thread_only(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock)
        async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
            run = await add_run(stores, clock)
            [claimed] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
            assert claimed.run.run_id == run.run_id

    async def test_a_hold_ends_when_the_edit_fails(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock)
        with pytest.raises(ZeroDivisionError):
            async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
                raise ZeroDivisionError
        run = await add_run(stores, clock, thread.thread_id)
        [claimed] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert claimed.run.run_id == run.run_id

    async def test_an_edited_state_shows_on_the_row(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock, metadata={"a": 1, "b": 1})
        now = clock.advance(5)
        async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
            edited = await stores.threads.put_state(
                thread.thread_id, STATE, status="interrupted", metadata={"b": 2}, scope=EVERYTHING
            )
        assert shown(edited) == shown(STATE)
        assert (edited.status, edited.resting, edited.touched) == ("interrupted", "interrupted", True)
        assert edited.metadata == {"a": 1, "b": 2}
        assert (edited.updated_at, edited.state_updated_at) == (now, now)
        assert await stores.threads.get(thread.thread_id, scope=EVERYTHING) == edited

    async def test_an_edited_state_clears_the_error_of_an_earlier_run(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        failure = Failure(error="ValueError", message="no")
        await stores.queue.finish(lease, new_outcome("error", "error", error=failure))
        assert (await thread_of(stores, lease.run)).error == failure
        thread_id = lease.run.thread_id
        edited = await stores.threads.put_state(thread_id, STATE, status="idle", metadata={}, scope=EVERYTHING)
        assert (edited.error, edited.status) == (None, "idle")

    async def test_a_thread_on_which_a_run_waits_stays_busy_whatever_its_state(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        thread = await add_thread(stores, clock)
        async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
            run = await add_run(stores, clock, thread.thread_id)
            edited = await stores.threads.put_state(
                thread.thread_id, STATE, status="interrupted", metadata={}, scope=EVERYTHING
            )
        assert edited.status == "busy"
        await stores.runs.request_cancel([run.run_id], "interrupt", scope=EVERYTHING)
        assert (await thread_of(stores, run)).status == "interrupted"
