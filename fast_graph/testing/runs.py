"""The promises of the RunStore port."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest

from fast_graph.model.errors import CapacityError, ConflictError, LeaseLostError, LimitError, NotFoundError
from fast_graph.model.queries import RunQuery
from fast_graph.model.quota import Quota
from fast_graph.model.records import EVERYTHING, Lease, Run, Wish
from fast_graph.storage.backend import Stores
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import (
    LEASE,
    WORKER,
    add_run,
    add_running,
    add_thread,
    admit,
    new_id,
    new_outcome,
    new_run,
    new_thread,
    run_of,
    take,
    thread_of,
)

MINE, THEIRS = {"owner": "me"}, {"owner": "you"}


async def wish_for(stores: Stores, lease: Lease) -> Wish | None:
    """What the holder learns at its next heartbeat."""
    [renewal] = await stores.queue.renew([lease], lease_for=LEASE)
    assert renewal.fresh
    return renewal.wish


class RunStoreConformance:
    """Takes the fixtures ``stores`` (open and empty) and ``clock`` (theirs)."""

    most_pending: ClassVar[int | None] = None
    """The bound that the ``stores`` fixture was given, if the backend has one: make it small."""

    # ---------------------------------------------------------------- create

    async def test_what_was_created_reads_back_equal_and_pending(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock)
        run = new_run(
            clock,
            thread.thread_id,
            kwargs=b'{"input": {"a": 1.50}}',
            metadata={"deep": [{"a": None}]},
            multitask_strategy="reject",
            resumable=True,
            due_at=clock() + timedelta(seconds=9),
        )
        created = await admit(stores, run)
        assert (created.run, list(created.displaced)) == (run, [])
        assert await run_of(stores, run) == run
        assert run.status == "pending"

    async def test_creating_a_run_is_enqueueing_it(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock)
        [lease] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert lease.run.run_id == run.run_id

    async def test_a_run_makes_its_thread_busy(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock)
        assert (await thread_of(stores, run)).status == "busy"

    async def test_a_run_needs_its_thread(self, stores: Stores, clock: OwnedClock) -> None:
        run = new_run(clock, new_id())
        with pytest.raises(NotFoundError):
            await admit(stores, run)
        await self.assert_never_was(stores, run)

    async def assert_never_was(self, stores: Stores, run: Run) -> None:
        """The run is in no list and nobody will execute it."""
        with pytest.raises(NotFoundError):
            await run_of(stores, run)
        inflight = await stores.runs.inflight(thread_id=None, scope=EVERYTHING)
        assert run.run_id not in [other.run_id for other in inflight]
        assert await stores.queue.claim_run(run.run_id, WORKER, lease_for=LEASE) is None

    async def test_a_thread_is_made_if_there_is_none(self, stores: Stores, clock: OwnedClock) -> None:
        thread = new_thread(clock, metadata={"a": 1})
        run = new_run(clock, thread.thread_id)
        await stores.runs.create(run, create_thread=thread, thread_config={}, scope=EVERYTHING)
        row = await thread_of(stores, run)
        assert (row.metadata, row.status, row.created_at) == ({"a": 1}, "busy", thread.created_at)

    async def test_a_thread_that_exists_is_used_as_it_is(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock, metadata={"a": 1})
        run = new_run(clock, thread.thread_id)
        spare = new_thread(clock, thread_id=thread.thread_id, metadata={"a": 2})
        await stores.runs.create(run, create_thread=spare, thread_config={}, scope=EVERYTHING)
        row = await thread_of(stores, run)
        assert (row.metadata, row.created_at) == ({"a": 1}, thread.created_at)

    async def test_a_thread_outside_the_scope_is_not_there_and_not_replaced(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        theirs = await add_thread(stores, clock, metadata=THEIRS)
        run = new_run(clock, theirs.thread_id)
        spare = new_thread(clock, thread_id=theirs.thread_id, metadata=MINE)
        for create_thread in (None, spare):
            with pytest.raises(NotFoundError):
                await stores.runs.create(run, create_thread=create_thread, thread_config={}, scope=MINE)
        await self.assert_never_was(stores, run)
        assert await stores.threads.get(theirs.thread_id, scope=THEIRS) == theirs

    async def test_the_thread_shows_the_config_and_whose_run_it_was(self, stores: Stores, clock: OwnedClock) -> None:
        thread = await add_thread(stores, clock, metadata={"a": 1, "graph_id": "old"}, config={"old": 1})
        metadata = {"graph_id": "agent", "assistant_id": "x", "a": 2, "private": True}
        run = new_run(clock, thread.thread_id, metadata=metadata)
        config = {"configurable": {"model": "m"}}
        await stores.runs.create(run, create_thread=None, thread_config=config, scope=EVERYTHING)
        row = await thread_of(stores, run)
        assert row.metadata == {"a": 1, "graph_id": "agent", "assistant_id": "x"}
        assert row.config == config

    async def test_a_run_id_is_taken_once(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_run(stores, clock)
        other = await add_run(stores, clock)
        second = new_run(clock, other.thread_id, run_id=first.run_id, multitask_strategy="rollback")
        with pytest.raises(ConflictError):
            await admit(stores, second)
        assert await run_of(stores, first) == first
        assert await run_of(stores, other) == other
        fresh = new_thread(clock)
        third = new_run(clock, fresh.thread_id, run_id=first.run_id)
        with pytest.raises(ConflictError):
            await stores.runs.create(third, create_thread=fresh, thread_config={}, scope=EVERYTHING)
        with pytest.raises(NotFoundError):
            await stores.threads.get(fresh.thread_id, scope=EVERYTHING)

    async def test_a_full_queue_takes_no_more(self, stores: Stores, clock: OwnedClock) -> None:
        if self.most_pending is None:
            pytest.skip("this backend has no bound")
        thread_id = (await add_thread(stores, clock)).thread_id
        waiting = [await add_run(stores, clock, thread_id) for _ in range(self.most_pending)]
        refused = new_run(clock, thread_id, multitask_strategy="rollback")
        with pytest.raises(CapacityError):
            await admit(stores, refused)
        await self.assert_never_was(stores, refused)
        assert [await run_of(stores, run) for run in waiting] == waiting
        await take(stores, waiting[0])
        await admit(stores, refused)

    # ---------------------------------------------------------------- quotas

    async def test_a_quota_refuses_one_more(self, stores: Stores, clock: OwnedClock) -> None:
        for name, quota in (("one", Quota(per_caller=2)), ("two", Quota(per_graph=2))):
            await self.assert_refuses_a_third(stores, clock, quota, name)
        waiting = len(await stores.runs.inflight(thread_id=None, scope=EVERYTHING))
        await self.assert_refuses_a_third(stores, clock, Quota(pending=waiting + 2), "three")

    async def assert_refuses_a_third(self, stores: Stores, clock: OwnedClock, quota: Quota, name: str) -> None:
        """The third run of the same caller and graph is not admitted, while others are."""
        threads = [(await add_thread(stores, clock)).thread_id for _ in range(3)]
        runs = [new_run(clock, thread_id, caller=name, graph_id=name) for thread_id in threads]
        for run in runs[:2]:
            await admit(stores, run, quota=quota)
        with pytest.raises(LimitError):
            await admit(stores, runs[2], quota=quota)
        await self.assert_never_was(stores, runs[2])
        assert (await thread_of(stores, runs[2])).status == "idle"
        if quota.pending is None:
            await admit(stores, new_run(clock, threads[2], caller="you", graph_id="other"), quota=quota)
            await admit(stores, new_run(clock, threads[2]), quota=quota)

    async def test_a_run_that_ends_makes_room(self, stores: Stores, clock: OwnedClock) -> None:
        quota = Quota(per_caller=2, per_graph=2)
        share = {"caller": "me", "graph_id": "agent"}
        one, two = await add_running(stores, clock, **share), await add_run(stores, clock, **share)
        third = new_run(clock, (await add_thread(stores, clock)).thread_id, **share)
        with pytest.raises(LimitError):
            await admit(stores, third, quota=quota)
        await stores.queue.finish(one, new_outcome())
        await admit(stores, third, quota=quota)
        await stores.runs.request_cancel([two.run_id], "interrupt", scope=EVERYTHING)
        await admit(stores, new_run(clock, third.thread_id, **share), quota=quota)

    async def test_what_a_run_displaces_makes_room(self, stores: Stores, clock: OwnedClock) -> None:
        quota = Quota(pending=1, per_caller=1, per_graph=1)
        share = {"caller": "me", "graph_id": "agent"}
        first = await add_run(stores, clock, **share)
        second = new_run(clock, first.thread_id, multitask_strategy="interrupt", **share)
        await admit(stores, second, quota=quota)
        with pytest.raises(LimitError):
            await admit(stores, new_run(clock, first.thread_id, **share), quota=quota)

    async def test_runs_created_at_once_do_not_pass_a_quota_together(self, stores: Stores, clock: OwnedClock) -> None:
        quota = Quota(per_caller=3, per_graph=5, pending=6)
        threads = [(await add_thread(stores, clock)).thread_id for _ in range(12)]
        runs = [
            new_run(clock, thread_id, caller=f"caller {number % 2}", graph_id="agent")
            for number, thread_id in enumerate(threads)
        ]
        found = await asyncio.gather(*(admit(stores, run, quota=quota) for run in runs), return_exceptions=True)
        refused = [one for one in found if isinstance(one, LimitError)]
        assert (len(found) - len(refused), len(refused)) == (5, 7)
        assert len(await stores.runs.inflight(thread_id=None, scope=EVERYTHING)) == 5

    # ---------------------------------------------------------------- multitask strategies

    async def test_enqueue_waits_behind_the_others(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        second = await add_run(stores, clock, lease.run.thread_id)
        created = await admit(stores, new_run(clock, lease.run.thread_id, multitask_strategy="enqueue"))
        assert list(created.displaced) == []
        assert await run_of(stores, second) == second
        assert await wish_for(stores, lease) is None

    async def test_reject_is_refused_while_a_run_is_in_flight(self, stores: Stores, clock: OwnedClock) -> None:
        pending = await add_run(stores, clock)
        running = (await add_running(stores, clock)).run
        for before in (pending, running):
            refused = new_run(clock, before.thread_id, multitask_strategy="reject")
            with pytest.raises(ConflictError):
                await admit(stores, refused)
            await self.assert_never_was(stores, refused)
            assert await run_of(stores, before) == before

    async def test_reject_is_admitted_once_nothing_is_in_flight(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.queue.finish(lease, new_outcome())
        run = await add_run(stores, clock, lease.run.thread_id, multitask_strategy="reject")
        assert (await take(stores, run)).run.run_id == run.run_id

    async def test_interrupt_ends_what_waits_and_asks_what_runs_to_stop(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await add_running(stores, clock)
        waiting = await add_run(stores, clock, lease.run.thread_id)
        later = await add_run(stores, clock, lease.run.thread_id, due_at=clock() + timedelta(hours=1))
        run = new_run(clock, lease.run.thread_id, multitask_strategy="interrupt")
        displaced = (await admit(stores, run)).displaced
        statuses = {other.run_id: other.status for other in displaced}
        assert statuses == {
            lease.run.run_id: "running",
            waiting.run_id: "interrupted",
            later.run_id: "interrupted",
        }
        assert (await run_of(stores, waiting)).status == "interrupted"
        assert (await run_of(stores, lease.run)).status == "running"
        assert await wish_for(stores, lease) == Wish(action="interrupt", superseded_by=run.run_id)

    async def test_rollback_deletes_what_waits_and_asks_what_runs_to_stop(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await add_running(stores, clock)
        waiting = await add_run(stores, clock, lease.run.thread_id)
        run = new_run(clock, lease.run.thread_id, multitask_strategy="rollback")
        displaced = (await admit(stores, run)).displaced
        assert {other.run_id for other in displaced} == {lease.run.run_id, waiting.run_id}
        await self.assert_never_was(stores, waiting)
        assert (await run_of(stores, lease.run)).status == "running"
        assert await wish_for(stores, lease) == Wish(action="rollback", superseded_by=run.run_id)

    async def test_a_run_displaces_none_on_other_threads(self, stores: Stores, clock: OwnedClock) -> None:
        other = await add_run(stores, clock)
        lease = await add_running(stores, clock)
        thread_id = (await add_thread(stores, clock)).thread_id
        created = await admit(stores, new_run(clock, thread_id, multitask_strategy="interrupt"))
        assert list(created.displaced) == []
        assert await run_of(stores, other) == other
        assert await wish_for(stores, lease) is None

    async def test_a_displaced_run_never_starts(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_run(stores, clock)
        run = await add_run(stores, clock, first.thread_id, multitask_strategy="interrupt")
        [lease] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert lease.run.run_id == run.run_id

    # ---------------------------------------------------------------- read

    async def test_a_run_is_found_on_its_own_thread_only(self, stores: Stores, clock: OwnedClock) -> None:
        run, other = await add_run(stores, clock), await add_run(stores, clock)
        found = await stores.runs.get(run.run_id, thread_id=run.thread_id, scope=EVERYTHING)
        assert found == run
        with pytest.raises(NotFoundError):
            await stores.runs.get(run.run_id, thread_id=other.thread_id, scope=EVERYTHING)
        with pytest.raises(NotFoundError):
            await stores.runs.get(new_id(), thread_id=None, scope=EVERYTHING)

    async def test_a_run_is_in_scope_when_its_thread_is(self, stores: Stores, clock: OwnedClock) -> None:
        theirs = await add_thread(stores, clock, metadata=THEIRS)
        run = await add_run(stores, clock, theirs.thread_id, metadata=MINE)
        assert await stores.runs.get(run.run_id, thread_id=None, scope=THEIRS) == run
        with pytest.raises(NotFoundError):
            await stores.runs.get(run.run_id, thread_id=None, scope=MINE)
        with pytest.raises(NotFoundError):
            await stores.runs.search(RunQuery(thread_id=run.thread_id), scope=MINE)
        with pytest.raises(NotFoundError):
            await stores.runs.delete(run.run_id, thread_id=run.thread_id, scope=MINE)
        assert list(await stores.runs.inflight(thread_id=None, scope=MINE)) == []
        assert list(await stores.runs.request_cancel([run.run_id], "rollback", scope=MINE)) == []
        assert await run_of(stores, run) == run

    async def test_nobody_shares_an_object_with_the_store(self, stores: Stores, clock: OwnedClock) -> None:
        metadata = {"list": [1]}
        run = await add_run(stores, clock, metadata=metadata)
        metadata["list"].append(2)
        read = await run_of(stores, run)
        assert read.metadata == {"list": [1]}
        read.metadata["list"].append(3)
        assert (await run_of(stores, run)).metadata == {"list": [1]}

    async def test_a_search_lists_the_runs_of_its_thread_newest_first(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_run(stores, clock)
        await add_run(stores, clock)
        second = await add_run(stores, clock, first.thread_id)
        page = await stores.runs.search(RunQuery(thread_id=first.thread_id), scope=EVERYTHING)
        assert (list(page.rows), page.total) == ([second, first], 2)
        query = RunQuery(thread_id=first.thread_id, sort_order="asc")
        assert list((await stores.runs.search(query, scope=EVERYTHING)).rows) == [first, second]

    async def test_a_search_is_filtered_by_status_and_paged(self, stores: Stores, clock: OwnedClock) -> None:
        running = (await add_running(stores, clock)).run
        one, two, three = [await add_run(stores, clock, running.thread_id) for _ in range(3)]
        query = RunQuery(thread_id=running.thread_id, status="pending", limit=1, offset=1)
        page = await stores.runs.search(query, scope=EVERYTHING)
        assert (list(page.rows), page.total) == ([two], 3)
        assert {one.status, three.status} == {"pending"}

    async def test_a_search_on_an_unknown_thread_is_not_found(self, stores: Stores, clock: OwnedClock) -> None:
        await add_run(stores, clock)
        with pytest.raises(NotFoundError):
            await stores.runs.search(RunQuery(thread_id=new_id()), scope=EVERYTHING)

    async def test_inflight_lists_what_is_pending_or_running_oldest_first(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        done = await add_running(stores, clock)
        running = (await add_running(stores, clock)).run
        pending = await add_run(stores, clock, done.run.thread_id)
        behind = await add_run(stores, clock, running.thread_id)
        await stores.queue.finish(done, new_outcome())
        everywhere = await stores.runs.inflight(thread_id=None, scope=EVERYTHING)
        assert list(everywhere) == [running, pending, behind]
        on_thread = await stores.runs.inflight(thread_id=running.thread_id, scope=EVERYTHING)
        assert list(on_thread) == [running, behind]

    # ---------------------------------------------------------------- cancel

    async def test_a_pending_run_is_interrupted_at_once(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock)
        now = clock.advance(1)
        [cancelled] = await stores.runs.request_cancel([run.run_id], "interrupt", scope=EVERYTHING)
        assert cancelled == replace(run, status="interrupted", updated_at=now)
        assert await run_of(stores, run) == cancelled
        assert (await thread_of(stores, run)).status == "idle"
        assert list(await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)) == []

    async def test_a_pending_run_is_deleted_on_rollback(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock)
        [cancelled] = await stores.runs.request_cancel([run.run_id], "rollback", scope=EVERYTHING)
        assert cancelled.run_id == run.run_id
        await self.assert_never_was(stores, run)
        assert (await thread_of(stores, run)).status == "idle"

    async def test_a_run_that_is_not_due_yet_can_be_cancelled(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock, due_at=clock() + timedelta(seconds=5))
        await stores.runs.request_cancel([run.run_id], "interrupt", scope=EVERYTHING)
        assert await stores.queue.next_due() is None
        clock.advance(10)
        assert list(await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)) == []

    async def test_the_holder_of_a_running_run_learns_the_wish(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        [asked] = await stores.runs.request_cancel([lease.run.run_id], "interrupt", scope=EVERYTHING)
        assert asked.status == "running"
        assert await run_of(stores, lease.run) == lease.run
        assert await wish_for(stores, lease) == Wish(action="interrupt")
        assert await wish_for(stores, lease) == Wish(action="interrupt")

    async def test_rollback_overrides_interrupt_and_never_the_reverse(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        for action, wished in (
            ("interrupt", "interrupt"),
            ("rollback", "rollback"),
            ("interrupt", "rollback"),
        ):
            await stores.runs.request_cancel(
                [lease.run.run_id],
                "rollback" if action == "rollback" else "interrupt",
                scope=EVERYTHING,
            )
            wish = await wish_for(stores, lease)
            assert wish is not None
            assert wish.action == wished

    async def test_a_wish_is_for_its_own_run_only(self, stores: Stores, clock: OwnedClock) -> None:
        lease, other = await add_running(stores, clock), await add_running(stores, clock)
        await stores.runs.request_cancel([lease.run.run_id], "interrupt", scope=EVERYTHING)
        assert await wish_for(stores, other) is None

    async def test_what_cannot_be_cancelled_is_left_out(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.queue.finish(lease, new_outcome())
        finished = await run_of(stores, lease.run)
        one, two = await add_run(stores, clock), await add_run(stores, clock)
        ids = [new_id(), finished.run_id, two.run_id, one.run_id]
        cancelled = await stores.runs.request_cancel(ids, "rollback", scope=EVERYTHING)
        assert {run.run_id for run in cancelled} == {one.run_id, two.run_id}
        assert await run_of(stores, finished) == finished

    async def test_a_thread_stays_busy_while_others_wait_on_it(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_run(stores, clock)
        second = await add_run(stores, clock, first.thread_id)
        await stores.runs.request_cancel([first.run_id], "interrupt", scope=EVERYTHING)
        assert (await thread_of(stores, second)).status == "busy"

    async def test_a_temporary_thread_goes_with_its_cancelled_run(self, stores: Stores, clock: OwnedClock) -> None:
        for action in ("interrupt", "rollback"):
            run = await add_run(stores, clock, temporary=True)
            await stores.runs.request_cancel(
                [run.run_id], "rollback" if action == "rollback" else "interrupt", scope=EVERYTHING
            )
            with pytest.raises(NotFoundError):
                await thread_of(stores, run)

    async def test_a_temporary_thread_stays_for_the_run_that_displaces_its_own(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        first = await add_run(stores, clock, temporary=True)
        run = await add_run(stores, clock, first.thread_id, multitask_strategy="interrupt")
        assert (await thread_of(stores, run)).status == "busy"
        await take(stores, run)

    # ---------------------------------------------------------------- delete

    async def test_a_deleted_run_is_returned_as_it_was_and_gone(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock)
        deleted = await stores.runs.delete(run.run_id, thread_id=run.thread_id, scope=EVERYTHING)
        assert deleted == run
        await self.assert_never_was(stores, run)
        page = await stores.runs.search(RunQuery(thread_id=run.thread_id), scope=EVERYTHING)
        assert (list(page.rows), page.total) == ([], 0)
        assert (await thread_of(stores, run)).status == "idle"

    async def test_a_holder_loses_its_lease_with_the_row(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.runs.delete(lease.run.run_id, thread_id=lease.run.thread_id, scope=EVERYTHING)
        with pytest.raises(LeaseLostError):
            await stores.queue.finish(lease, new_outcome())
        [renewal] = await stores.queue.renew([lease], lease_for=LEASE)
        assert not renewal.fresh

    async def test_a_thread_is_free_again_once_its_running_run_is_deleted(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await add_running(stores, clock)
        waiting = await add_run(stores, clock, lease.run.thread_id)
        await stores.runs.delete(lease.run.run_id, thread_id=lease.run.thread_id, scope=EVERYTHING)
        assert (await thread_of(stores, waiting)).status == "busy"
        [claimed] = await stores.queue.claim(WORKER, limit=9, lease_for=LEASE)
        assert claimed.run.run_id == waiting.run_id
        await stores.runs.delete(waiting.run_id, thread_id=waiting.thread_id, scope=EVERYTHING)
        assert (await thread_of(stores, waiting)).status == "idle"

    async def test_a_run_that_is_not_there_cannot_be_deleted(self, stores: Stores, clock: OwnedClock) -> None:
        run, other = await add_run(stores, clock), await add_run(stores, clock)
        for run_id, thread_id in ((new_id(), run.thread_id), (run.run_id, other.thread_id)):
            with pytest.raises(NotFoundError):
                await stores.runs.delete(run_id, thread_id=thread_id, scope=EVERYTHING)
        assert await run_of(stores, run) == run
