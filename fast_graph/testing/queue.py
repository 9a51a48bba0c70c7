"""The promises of the RunQueue port: one by one, and all at once in a state machine."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, cast
from unittest import TestCase

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fast_graph.model.errors import ConflictError, LeaseLostError, NotFoundError
from fast_graph.model.lifecycle import INFLIGHT, CancelAction, MultitaskStrategy, RunStatus, ThreadStatus
from fast_graph.model.queries import RunQuery
from fast_graph.model.records import (
    EVERYTHING,
    Failure,
    Lease,
    Outcome,
    Renewal,
    Run,
    Thread,
    ThreadState,
    Wish,
)
from fast_graph.storage.backend import Stores
from fast_graph.storage.threads import MOST_HELD
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import (
    LEASE,
    WORKER,
    add_run,
    add_running,
    add_thread,
    new_id,
    new_outcome,
    new_run,
    new_thread,
    run_of,
    shown,
    take,
    thread_of,
)

T = TypeVar("T")
NOW = timedelta()
FAILURE = Failure(error="ValueError", message="no")
STATE = ThreadState(values=b'{"n":1}', interrupts={"task": [{"id": "i", "value": "sure?"}]})


class Ready:
    """A claimant with some slots."""

    name = "ready"
    lease_for = LEASE

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.leases: list[Lease] = []

    def reserve(self) -> bool:
        """As long as there are slots."""
        if not self.slots:
            return False
        self.slots -= 1
        return True

    def take(self, lease: Lease) -> None:
        """Kept to be looked at."""
        self.leases.append(lease)

    def waive(self) -> None:
        """The slot is free again."""
        self.slots += 1


class RunQueueConformance:
    """Takes the fixtures ``stores`` (open and empty) and ``clock`` (theirs)."""

    asks_claimants = True
    """Whether the backend has anything to gain from those who stand by."""

    async def claim(self, stores: Stores, *, limit: int = 9, worker: str = WORKER) -> Sequence[Lease]:
        """Claim what can be claimed."""
        return await stores.queue.claim(worker, limit=limit, lease_for=LEASE)

    async def claimed(self, stores: Stores, *, limit: int = 9) -> list[str]:
        """Claim what can be claimed, and tell the ids."""
        return [lease.run.run_id for lease in await self.claim(stores, limit=limit)]

    async def expire(self, stores: Stores, clock: OwnedClock, *, max_attempts: int = 9) -> Sequence[Lease]:
        """Let every lease end, and take the runs back."""
        clock.advance(LEASE.total_seconds() + 1)
        return await stores.queue.reap(max_attempts=max_attempts)

    # ---------------------------------------------------------------- claim

    async def test_an_empty_queue_answers_at_once(self, stores: Stores, clock: OwnedClock) -> None:
        await add_thread(stores, clock)
        assert list(await self.claim(stores)) == []
        assert await stores.queue.next_due() is None

    async def test_the_oldest_runs_are_claimed_first(self, stores: Stores, clock: OwnedClock) -> None:
        oldest, middle, youngest = [await add_run(stores, clock) for _ in range(3)]
        assert await self.claimed(stores, limit=2) == [oldest.run_id, middle.run_id]
        assert await self.claimed(stores, limit=2) == [youngest.run_id]

    async def test_a_claimed_run_is_running_and_leased(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock, kwargs=b'{"input":{"a":1}}', metadata={"a": 1})
        now = clock.advance(5)
        [lease] = await self.claim(stores, worker="worker-7")
        running = replace(run, status="running", attempt=1, updated_at=now)
        assert (lease.run, lease.worker, lease.wish) == (running, "worker-7", None)
        assert lease.expires_at == now + LEASE
        assert await run_of(stores, run) == running

    async def test_every_claim_raises_the_attempt_and_the_token_by_one(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_running(stores, clock)
        await self.expire(stores, clock)
        [second] = await self.claim(stores)
        await self.expire(stores, clock)
        third = await take(stores, first.run)
        assert [lease.run.attempt for lease in (first, second, third)] == [1, 2, 3]
        assert [lease.token - first.token for lease in (first, second, third)] == [0, 1, 2]
        assert first.token > 0

    async def test_one_run_at_a_time_on_a_thread(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_run(stores, clock)
        second = await add_run(stores, clock, first.thread_id)
        assert await self.claimed(stores) == [first.run_id]
        assert await self.claimed(stores) == []
        assert await stores.queue.claim_run(second.run_id, WORKER, lease_for=LEASE) is None

    async def test_the_runs_of_a_thread_start_in_the_order_they_were_created(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        thread_id = (await add_thread(stores, clock)).thread_id
        runs = [(await add_run(stores, clock, thread_id)).run_id for _ in range(4)]
        started = []
        for _ in runs:
            [lease] = await self.claim(stores)
            started.append(lease.run.run_id)
            await stores.queue.finish(lease, new_outcome())
        assert started == runs

    async def test_workers_at_the_same_time_never_get_the_same_run(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_run(stores, clock)
        await add_run(stores, clock, first.thread_id)
        for _ in range(5):
            await add_run(stores, clock)
        async with asyncio.TaskGroup() as tasks:
            claims = [tasks.create_task(self.claimed(stores, limit=2)) for _ in range(4)]
        claimed = [run_id for task in claims for run_id in task.result()] + await self.claimed(stores)
        assert len(claimed) == len(set(claimed)) == 6

    async def test_a_run_is_not_claimed_before_it_is_due(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock, due_at=clock() + timedelta(seconds=10))
        assert await self.claimed(stores) == []
        assert await stores.queue.claim_run(run.run_id, WORKER, lease_for=LEASE) is None
        clock.advance(11)
        assert await self.claimed(stores) == [run.run_id]

    async def test_a_run_that_is_not_due_holds_nobody_up(self, stores: Stores, clock: OwnedClock) -> None:
        later = await add_run(stores, clock, due_at=clock() + timedelta(seconds=10))
        run = await add_run(stores, clock, later.thread_id)
        assert await self.claimed(stores) == [run.run_id]

    async def test_the_queue_tells_when_the_next_run_is_due(self, stores: Stores, clock: OwnedClock) -> None:
        soon, later = clock() + timedelta(seconds=10), clock() + timedelta(seconds=20)
        for due_at in (later, soon):
            await add_run(stores, clock, due_at=due_at)
        await add_run(stores, clock)
        for due_at in (soon, later):
            assert await stores.queue.next_due() == due_at
            clock.advance(11)
            assert await stores.queue.next_due() == due_at
            await stores.queue.claim("worker-7", limit=1, lease_for=LEASE)
        assert await stores.queue.next_due() is None

    async def test_a_run_can_be_claimed_by_its_id(self, stores: Stores, clock: OwnedClock) -> None:
        await add_run(stores, clock)
        run = await add_run(stores, clock)
        now = clock.advance(5)
        lease = await stores.queue.claim_run(run.run_id, "worker-7", lease_for=LEASE)
        assert lease is not None
        running = replace(run, status="running", attempt=1, updated_at=now)
        assert (lease.run, lease.worker, lease.expires_at) == (running, "worker-7", now + LEASE)
        assert await run_of(stores, run) == running

    async def test_what_cannot_be_claimed_cannot_be_claimed_by_its_id(self, stores: Stores, clock: OwnedClock) -> None:
        first = await add_run(stores, clock)
        behind = await add_run(stores, clock, first.thread_id)
        lease = await add_running(stores, clock)
        done = await add_running(stores, clock)
        await stores.queue.finish(done, new_outcome())
        for run_id in (new_id(), behind.run_id, lease.run.run_id, done.run.run_id):
            assert await stores.queue.claim_run(run_id, WORKER, lease_for=LEASE) is None
        assert await self.claimed(stores) == [first.run_id]

    # ---------------------------------------------------------------- stand_by

    async def handed(self, stores: Stores, run: Run, *, slots: int = 1) -> Sequence[Lease]:
        """The leases that somebody with some slots gets while a run is created on a thread, new or not."""
        ready = Ready(slots)
        with stores.queue.stand_by(ready):
            thread = Thread.fresh(run.thread_id, now=run.created_at)
            created = await stores.runs.create(run, create_thread=thread, thread_config={}, scope=EVERYTHING)
        assert created.claimed == bool(ready.leases)
        assert ready.slots + len(ready.leases) == slots, "a slot was not given back"
        return ready.leases

    async def test_whoever_stands_by_has_a_run_from_its_first_moment(self, stores: Stores, clock: OwnedClock) -> None:
        for strategy in ("enqueue", "reject", "interrupt", "rollback"):
            run = new_run(clock, new_id(), multitask_strategy=strategy)
            leases = await self.handed(stores, run)
            if not self.asks_claimants:
                assert list(leases) == []
                return
            [lease] = leases
            assert lease.run == await run_of(stores, run) == replace(run, status="running", attempt=1)
            assert (lease.worker, lease.expires_at, lease.wish) == ("ready", clock() + LEASE, None)
            assert await self.claimed(stores) == []
            assert (await thread_of(stores, run)).status == "busy"

    async def test_a_run_that_was_handed_over_is_like_any_other_that_runs(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        for lease in await self.handed(stores, new_run(clock, new_id())):
            later = await add_run(stores, clock, lease.run.thread_id)
            assert await self.claimed(stores) == [], "two at once on a thread"
            await self.expire(stores, clock)
            again = await take(stores, lease.run)
            assert (again.token, again.run.attempt) == (lease.token + 1, 2)
            with pytest.raises(LeaseLostError):
                await stores.queue.finish(lease, new_outcome())
            await stores.queue.finish(again, new_outcome())
            assert await self.claimed(stores) == [later.run_id]

    async def test_what_cannot_be_claimed_is_not_handed_over(self, stores: Stores, clock: OwnedClock) -> None:
        busy = await add_running(stores, clock)
        waiting = await add_run(stores, clock)
        thread = await add_thread(stores, clock)
        for run in (
            new_run(clock, busy.run.thread_id),
            new_run(clock, waiting.thread_id),
            new_run(clock, busy.run.thread_id, multitask_strategy="interrupt"),
            new_run(clock, new_id(), due_at=clock() + timedelta(seconds=5)),
        ):
            assert list(await self.handed(stores, run)) == []
        async with stores.threads.hold(thread.thread_id, scope=EVERYTHING):
            assert list(await self.handed(stores, new_run(clock, thread.thread_id))) == []

    async def test_nobody_gets_a_run_without_a_slot_or_when_no_longer_there(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        run = new_run(clock, new_id())
        assert list(await self.handed(stores, run, slots=0)) == []
        gone = Ready()
        with stores.queue.stand_by(gone):
            """It leaves before anything is created."""
        other = await add_run(stores, clock)
        assert (gone.slots, gone.leases) == (1, [])
        assert await self.claimed(stores) == [run.run_id, other.run_id]

    async def test_a_refused_run_gives_the_slot_back(self, stores: Stores, clock: OwnedClock) -> None:
        busy = await add_running(stores, clock)
        for refused, error in (
            (replace(busy.run, status="pending", attempt=0), ConflictError),
            (new_run(clock, busy.run.thread_id, multitask_strategy="reject"), ConflictError),
            (new_run(clock, new_id()), NotFoundError),
        ):
            ready = Ready()
            with stores.queue.stand_by(ready), pytest.raises(error):
                await stores.runs.create(refused, create_thread=None, thread_config={}, scope=EVERYTHING)
            assert (ready.slots, ready.leases) == (1, [])

    # ---------------------------------------------------------------- renew

    async def test_a_renewed_lease_lasts_longer(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        for _ in range(3):
            clock.advance(LEASE.total_seconds() - 1)
            assert list(await stores.queue.renew([lease], lease_for=LEASE)) == [Renewal(fresh=True)]
            assert list(await stores.queue.reap(max_attempts=9)) == []
        assert [reaped.token for reaped in await self.expire(stores, clock)] == [lease.token]

    async def test_a_renewal_answers_each_lease_in_order(self, stores: Stores, clock: OwnedClock) -> None:
        asked, lost, fine = [await add_running(stores, clock) for _ in range(3)]
        await stores.queue.finish(lost, new_outcome())
        await stores.runs.request_cancel([asked.run.run_id], "interrupt", scope=EVERYTHING)
        answers = await stores.queue.renew([lost, fine, asked], lease_for=LEASE)
        assert [renewal.fresh for renewal in answers] == [False, True, True]
        assert [renewal.wish for renewal in answers[1:]] == [None, Wish(action="interrupt")]
        assert list(await stores.queue.renew([], lease_for=LEASE)) == []

    async def test_a_lease_that_expired_but_was_not_reaped_is_renewed(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        clock.advance(LEASE.total_seconds() * 2)
        [renewal] = await stores.queue.renew([lease], lease_for=LEASE)
        assert renewal.fresh
        assert list(await stores.queue.reap(max_attempts=9)) == []

    async def test_a_lost_lease_is_not_renewed(self, stores: Stores, clock: OwnedClock) -> None:
        finished, released, deleted, reaped, again = [await add_running(stores, clock) for _ in range(5)]
        await stores.queue.finish(finished, new_outcome())
        await stores.queue.release(released, delay=timedelta(hours=1))
        await stores.runs.delete(deleted.run.run_id, thread_id=deleted.run.thread_id, scope=EVERYTHING)
        await self.expire(stores, clock)
        await take(stores, again.run)
        lost = [finished, released, deleted, reaped, again]
        answers = await stores.queue.renew(lost, lease_for=LEASE)
        assert [renewal.fresh for renewal in answers] == [False] * 5

    async def test_a_stale_renewal_does_not_prolong_the_lease_of_the_present_holder(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        stale = await add_running(stores, clock)
        await self.expire(stores, clock)
        present = await take(stores, stale.run)
        clock.advance(LEASE.total_seconds() - 1)
        await stores.queue.renew([stale], lease_for=LEASE)
        clock.advance(2)
        assert [lease.token for lease in await stores.queue.reap(max_attempts=9)] == [present.token]

    # ---------------------------------------------------------------- finish

    async def test_finish_writes_the_run_and_its_thread(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        now = clock.advance(5)
        await stores.queue.finish(lease, new_outcome("interrupted", "interrupted", state=STATE))
        run = await run_of(stores, lease.run)
        assert run == replace(lease.run, status="interrupted", updated_at=now)
        thread = await thread_of(stores, lease.run)
        assert (thread.status, thread.touched, thread.error) == ("interrupted", True, None)
        assert shown(thread) == shown(STATE)
        assert (thread.updated_at, thread.state_updated_at) == (now, now)

    async def test_finish_writes_what_went_wrong(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.queue.finish(lease, new_outcome("error", "error", error=FAILURE))
        run, thread = await run_of(stores, lease.run), await thread_of(stores, lease.run)
        assert (run.status, run.error) == ("error", FAILURE)
        assert (thread.status, thread.error) == ("error", FAILURE)

    async def test_a_run_that_goes_well_clears_the_error_of_an_earlier_one(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await add_running(stores, clock)
        await stores.queue.finish(lease, new_outcome("error", "error", error=FAILURE))
        lease = await add_running(stores, clock, lease.run.thread_id)
        await stores.queue.finish(lease, new_outcome())
        thread = await thread_of(stores, lease.run)
        assert (thread.status, thread.error) == ("idle", None)

    async def test_an_outcome_without_a_state_leaves_what_the_thread_showed(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await add_running(stores, clock)
        await stores.queue.finish(lease, new_outcome(state=STATE))
        before = await thread_of(stores, lease.run)
        clock.advance(5)
        lease = await add_running(stores, clock, lease.run.thread_id)
        await stores.queue.finish(lease, new_outcome("error", "error", error=FAILURE))
        after = await thread_of(stores, lease.run)
        assert shown(after) == shown(STATE)
        assert after.state_updated_at == before.state_updated_at

    async def test_a_thread_is_busy_while_other_runs_are_in_flight_on_it(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await add_running(stores, clock)
        later = await add_run(stores, clock, lease.run.thread_id, due_at=clock() + timedelta(hours=1))
        await stores.queue.finish(lease, new_outcome("error", "error"))
        assert (await thread_of(stores, later)).status == "busy"
        await stores.runs.request_cancel([later.run_id], "interrupt", scope=EVERYTHING)
        assert (await thread_of(stores, later)).status == "error"

    async def test_the_thread_of_a_temporary_run_goes_with_it(self, stores: Stores, clock: OwnedClock) -> None:
        outcomes = (new_outcome(), new_outcome("error", "error"), new_outcome("interrupted", forget=True))
        for outcome in outcomes:
            lease = await add_running(stores, clock, temporary=True)
            await stores.queue.finish(lease, outcome)
            with pytest.raises(NotFoundError):
                await thread_of(stores, lease.run)
            with pytest.raises(NotFoundError):
                await run_of(stores, lease.run)

    async def test_a_temporary_thread_stays_while_other_runs_are_in_flight_on_it(
        self, stores: Stores, clock: OwnedClock
    ) -> None:
        lease = await add_running(stores, clock, temporary=True)
        other = await add_run(stores, clock, lease.run.thread_id)
        await stores.queue.finish(lease, new_outcome())
        assert await self.claimed(stores) == [other.run_id]

    async def test_a_rolled_back_run_leaves_no_row(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        waiting = await add_run(stores, clock, lease.run.thread_id)
        await stores.queue.finish(lease, new_outcome("interrupted", "idle", forget=True))
        with pytest.raises(NotFoundError):
            await run_of(stores, lease.run)
        assert (await thread_of(stores, waiting)).status == "busy"
        assert await self.claimed(stores) == [waiting.run_id]

    async def test_a_stale_holder_can_write_nothing(self, stores: Stores, clock: OwnedClock) -> None:
        stale = await add_running(stores, clock)
        await self.expire(stores, clock)
        await self.assert_powerless(stores, stale)
        present = await take(stores, stale.run)
        await self.assert_powerless(stores, stale)
        await stores.queue.finish(present, new_outcome())
        await self.assert_powerless(stores, stale)
        await self.assert_powerless(stores, present)

    async def assert_powerless(self, stores: Stores, lease: Lease) -> None:
        """Nothing that the holder of this lease does changes the run or its thread."""
        before = await run_of(stores, lease.run), await thread_of(stores, lease.run)
        outcome = new_outcome("error", "error", state=STATE, error=FAILURE)
        for ending in (outcome, replace(outcome, forget=True)):
            with pytest.raises(LeaseLostError):
                await stores.queue.finish(lease, ending)
        with pytest.raises(LeaseLostError):
            await stores.queue.release(lease, delay=NOW)
        assert (await run_of(stores, lease.run), await thread_of(stores, lease.run)) == before

    # ---------------------------------------------------------------- release

    async def test_a_released_run_is_pending_again_at_no_cost(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.queue.release(lease, delay=NOW)
        run = await run_of(stores, lease.run)
        assert (run.status, run.attempt) == ("pending", 0)
        assert (await thread_of(stores, run)).status == "busy"
        again = await take(stores, run)
        assert again.run.attempt == 1
        assert again.token > lease.token

    async def test_a_released_run_is_due_after_its_delay(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.queue.release(lease, delay=timedelta(seconds=10))
        assert await stores.queue.next_due() == clock() + timedelta(seconds=10)
        assert await self.claimed(stores) == []
        clock.advance(11)
        assert await self.claimed(stores) == [lease.run.run_id]

    async def test_a_released_run_keeps_its_place(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await add_run(stores, clock, lease.run.thread_id)
        other = await add_run(stores, clock)
        await stores.queue.release(lease, delay=NOW)
        assert await self.claimed(stores) == [lease.run.run_id, other.run_id]

    async def test_a_released_thread_is_free_for_the_next_run(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        behind = await add_run(stores, clock, lease.run.thread_id)
        await stores.queue.release(lease, delay=timedelta(hours=1))
        assert await self.claimed(stores) == [behind.run_id]

    # ---------------------------------------------------------------- reap

    async def test_a_run_whose_lease_expired_is_pending_again(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        [reaped] = await self.expire(stores, clock, max_attempts=2)
        assert (reaped.run.run_id, reaped.token, reaped.worker) == (
            lease.run.run_id,
            lease.token,
            lease.worker,
        )
        run = await run_of(stores, lease.run)
        assert (run.status, run.attempt, run.error) == ("pending", 1, None)
        assert (await thread_of(stores, run)).status == "busy"
        again = await take(stores, run)
        assert again.run.attempt == 2
        assert again.token > lease.token

    async def test_live_leases_are_not_reaped(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        clock.advance(LEASE.total_seconds() - 1)
        assert list(await stores.queue.reap(max_attempts=1)) == []
        assert await run_of(stores, lease.run) == lease.run

    async def test_a_lease_is_reaped_once(self, stores: Stores, clock: OwnedClock) -> None:
        leases = [await add_running(stores, clock) for _ in range(3)]
        reaped = await self.expire(stores, clock)
        assert {lease.run.run_id for lease in reaped} == {lease.run.run_id for lease in leases}
        assert list(await stores.queue.reap(max_attempts=9)) == []

    async def test_a_run_that_used_up_its_attempts_is_a_dead_letter(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock)
        for _ in range(2):
            lease = await take(stores, run)
            await self.expire(stores, clock, max_attempts=2)
        dead, thread = await run_of(stores, run), await thread_of(stores, run)
        assert (dead.status, dead.attempt) == ("error", 2)
        assert dead.error is not None
        assert (thread.status, thread.error) == ("error", dead.error)
        assert await self.claimed(stores) == []
        await self.assert_powerless(stores, lease)

    async def test_a_dead_letter_frees_its_thread(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        waiting = await add_run(stores, clock, lease.run.thread_id)
        await self.expire(stores, clock, max_attempts=1)
        assert (await thread_of(stores, waiting)).status == "busy"
        assert await self.claimed(stores) == [waiting.run_id]

    async def test_releases_do_not_bring_a_dead_letter_closer(self, stores: Stores, clock: OwnedClock) -> None:
        run = await add_run(stores, clock)
        for _ in range(3):
            await stores.queue.release(await take(stores, run), delay=NOW)
        await take(stores, run)
        await self.expire(stores, clock, max_attempts=2)
        assert (await run_of(stores, run)).status == "pending"

    async def test_a_run_may_say_how_often_it_is_tried(self, stores: Stores, clock: OwnedClock) -> None:
        once = await take(stores, await add_run(stores, clock, max_attempts=1))
        often = await take(stores, await add_run(stores, clock, max_attempts=5))
        await self.expire(stores, clock, max_attempts=1)
        assert (await run_of(stores, often.run)).status == "pending"
        assert (await run_of(stores, once.run)).status == "error"

    async def test_a_wish_outlives_the_holder(self, stores: Stores, clock: OwnedClock) -> None:
        lease = await add_running(stores, clock)
        await stores.runs.request_cancel([lease.run.run_id], "rollback", scope=EVERYTHING)
        [reaped] = await self.expire(stores, clock, max_attempts=1)
        assert reaped.wish == Wish(action="rollback")
        assert (await run_of(stores, lease.run)).status == "pending"
        [again] = await self.claim(stores)
        assert again.wish == Wish(action="rollback")


# -------------------------------------------------------------------------------- the state machine


class Host:
    """Stores that stay open on a loop of their own, in one task, between the steps of a test that has no loop."""

    stores: Stores

    def __init__(self, opening: Stores) -> None:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._steps: asyncio.Queue[tuple[Coroutine[Any, Any, Any], asyncio.Future[Any]] | None]
        self._steps = asyncio.Queue()
        self._opened = self._loop.create_future()
        self._life = self._loop.create_task(self._live(opening))
        self._loop.run_until_complete(self._opened)

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Do one step to its end."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._steps.put_nowait((step, done))
        return self._loop.run_until_complete(done)

    def close(self) -> None:
        """Close the stores and the loop."""
        self._steps.put_nowait(None)
        self._loop.run_until_complete(self._life)
        self._runner.close()

    async def _live(self, opening: Stores) -> None:
        async with opening as self.stores:
            self._opened.set_result(None)
            while (given := await self._steps.get()) is not None:
                step, done = given
                try:
                    done.set_result(await step)
                except Exception as error:  # noqa: BLE001 - it is the caller's, who awaits ``done``
                    done.set_exception(error)


@dataclass
class Expected:
    """What the machine knows of a run that was admitted and not deleted."""

    run: Run
    token: int = 0
    lease_ends: datetime | None = None
    """None unless somebody holds the run."""
    wish: CancelAction | None = None

    @property
    def place(self) -> tuple[datetime, str]:
        """Its place in the queue."""
        return self.run.created_at, self.run.run_id


THREADS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]
MAX_ATTEMPTS = 2


class RunQueueMachine(RuleBasedStateMachine):
    """Does what owners and workers do, in any order, and compares the queue with a plain model of it.

    Held after every step: at most one live lease per thread; tokens only rise; a terminal status never changes;
    a stale lease writes nothing; a thread is busy exactly while runs are in flight on it; and each claim gets
    the oldest due runs, in order, of the threads that are free.
    """

    @staticmethod
    def connect(clock: OwnedClock) -> Stores:
        """Empty stores of the backend under test, not open yet, that run by this clock."""
        raise NotImplementedError

    threads = st.sampled_from(THREADS)
    picks = st.integers(0, 5)
    """How far back, among the runs or leases of this example."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = OwnedClock()
        self.host = Host(self.connect(self.clock))
        self.stores = self.host.stores
        self.run_ids: list[str] = []
        self.leases: list[Lease] = []
        self.expected: dict[str, Expected] = {}
        self.existing: set[str] = set()
        self.holds: dict[str, AsyncExitStack] = {}
        self.held_since: dict[str, datetime] = {}
        self.ended: dict[str, RunStatus] = {}
        self.highest: dict[str, int] = {}

    def teardown(self) -> None:
        for hold in self.holds.values():
            self.host.run(hold.aclose())
        self.host.close()

    # ---------------------------------------------------------------- what owners do

    @initialize(on=st.lists(threads, min_size=2, max_size=5), limit=st.integers(0, 3))
    def begin(self, on: list[str], limit: int) -> None:
        for thread_id in on:
            self.create(thread_id, "enqueue", None)
        self.claim(limit)

    @rule(thread_id=threads, count=st.integers(2, 3))
    def queue_up(self, thread_id: str, count: int) -> None:
        for _ in range(count):
            self.create(thread_id, "enqueue", None)

    @rule(
        thread_id=threads,
        strategy=st.sampled_from(["enqueue", "enqueue", "reject", "interrupt", "rollback"]),
        delay=st.sampled_from([None, None, 5, 60]),
    )
    def create(self, thread_id: str, strategy: MultitaskStrategy, delay: int | None, slots: int = 0) -> None:
        thread = new_thread(self.clock, thread_id=thread_id)
        due_at = None if delay is None else self.clock() + timedelta(seconds=delay)
        run = new_run(self.clock, thread_id, multitask_strategy=strategy, due_at=due_at)
        inflight = self.inflight(thread_id)
        if strategy == "reject" and inflight:
            with pytest.raises(ConflictError):
                self.host.run(self.admit(run, thread, Ready(slots)))
            return
        ready = Ready(slots)
        self.host.run(self.admit(run, thread, ready))
        self.existing.add(thread_id)
        self.run_ids.append(run.run_id)
        self.expected[run.run_id] = Expected(run=run)
        if strategy == "interrupt" or strategy == "rollback":
            for other in inflight:
                self.expect_stop(other, strategy)
        for lease in ready.leases:
            assert run.run_id in self.claimable()
            self.expect_claimed(lease)

    @rule(thread_id=threads)
    def create_while_somebody_stands_by(self, thread_id: str) -> None:
        self.create(thread_id, "enqueue", None, slots=1)

    async def admit(self, run: Run, thread: Thread, ready: Ready) -> None:
        with self.stores.queue.stand_by(ready):
            await self.stores.runs.create(run, create_thread=thread, thread_config={}, scope=EVERYTHING)

    @rule(pick=picks, action=st.sampled_from(["interrupt", "rollback"]))
    def cancel(self, pick: int, action: CancelAction) -> None:
        self.ask_to_stop(self.picked(self.run_ids, pick), action)

    def ask_to_stop(self, run_id: str, action: CancelAction) -> None:
        asked = self.host.run(self.stores.runs.request_cancel([run_id], action, scope=EVERYTHING))
        known = self.expected.get(run_id)
        could = known is not None and known.run.status in INFLIGHT
        assert [run.run_id for run in asked] == ([run_id] if could else [])
        if known is not None and could:
            self.expect_stop(known, action)

    @rule(pick=picks)
    def delete_run(self, pick: int) -> None:
        run_id = self.picked(self.run_ids, pick)
        if run_id in self.expected:
            self.remove(run_id)
        with pytest.raises(NotFoundError):
            self.host.run(self.stores.runs.get(run_id, thread_id=None, scope=EVERYTHING))

    def remove(self, run_id: str) -> None:
        thread_id = self.expected.pop(run_id).run.thread_id
        self.host.run(self.stores.runs.delete(run_id, thread_id=thread_id, scope=EVERYTHING))

    @precondition(lambda self: self.existing)
    @rule(thread_id=threads)
    def delete_thread(self, thread_id: str) -> None:
        if thread_id in self.existing:
            self.host.run(self.stores.threads.delete(thread_id, scope=EVERYTHING))
            self.existing.discard(thread_id)
            self.expected = {k: v for k, v in self.expected.items() if v.run.thread_id != thread_id}

    @precondition(lambda self: self.existing)
    @rule(thread_id=threads)
    def edit(self, thread_id: str) -> None:
        """Hold the thread, with nothing in flight on it, and queue a run meanwhile."""
        if thread_id in self.existing and thread_id not in self.holds:
            for known in self.inflight(thread_id):
                self.remove(known.run.run_id)
            self.hold(thread_id)
            self.hold(thread_id)  # refused
            self.create(thread_id, "enqueue", None)
            self.claim(3)
            self.let_go(thread_id)
            self.claim(1)

    @precondition(lambda self: self.existing)
    @rule(thread_id=threads)
    def hold(self, thread_id: str) -> None:
        stack = AsyncExitStack()
        opening = stack.enter_async_context(self.stores.threads.hold(thread_id, scope=EVERYTHING))
        if thread_id not in self.existing:
            with pytest.raises(NotFoundError):
                self.host.run(opening)
        elif self.inflight(thread_id) or thread_id in self.holds:
            with pytest.raises(ConflictError):
                self.host.run(opening)
        else:
            self.host.run(opening)
            self.holds[thread_id] = stack
            self.held_since[thread_id] = self.clock()

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def end_hold(self, data: st.DataObject) -> None:
        self.let_go(data.draw(st.sampled_from(sorted(self.holds))))

    def let_go(self, thread_id: str) -> None:
        self.host.run(self.holds.pop(thread_id).aclose())

    # ---------------------------------------------------------------- what workers do

    @precondition(lambda self: self.expected)
    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        wanted = self.claimable()[:limit]
        leases = self.host.run(self.stores.queue.claim(WORKER, limit=limit, lease_for=LEASE))
        assert [lease.run.run_id for lease in leases] == wanted
        for lease in leases:
            self.expect_claimed(lease)

    @rule(pick=picks)
    def claim_run(self, pick: int) -> None:
        run_id = self.picked(self.run_ids, pick)
        lease = self.host.run(self.stores.queue.claim_run(run_id, WORKER, lease_for=LEASE))
        assert (lease is not None) == (run_id in self.claimable())
        if lease is not None:
            self.expect_claimed(lease)

    @precondition(lambda self: self.leases)
    @rule(pick=picks)
    def renew(self, pick: int) -> None:
        lease = self.picked(self.leases, pick)
        [renewal] = self.host.run(self.stores.queue.renew([lease], lease_for=LEASE))
        known = self.holder(lease)
        assert renewal.fresh == (known is not None)
        if known is not None:
            assert (renewal.wish.action if renewal.wish else None) == known.wish
            known.lease_ends = self.clock() + LEASE

    @precondition(lambda self: self.leases)
    @rule(
        pick=picks,
        status=st.sampled_from(["success", "error", "timeout", "interrupted"]),
        thread_status=st.sampled_from(["idle", "interrupted", "error"]),
        forget=st.booleans(),
    )
    def finish(self, pick: int, *, status: RunStatus, thread_status: ThreadStatus, forget: bool) -> None:
        lease = self.picked(self.leases, pick)
        finishing = self.stores.queue.finish(lease, Outcome(status=status, thread_status=thread_status, forget=forget))
        known = self.holder(lease)
        if known is None:
            with pytest.raises(LeaseLostError):
                self.host.run(finishing)
            return
        self.host.run(finishing)
        if forget:
            del self.expected[lease.run.run_id]
        else:
            self.expect_moved(known, status)

    @precondition(lambda self: self.leases)
    @rule(pick=picks, delay=st.sampled_from([0, 0, 5]))
    def release(self, pick: int, delay: int) -> None:
        lease = self.picked(self.leases, pick)
        releasing = self.stores.queue.release(lease, delay=timedelta(seconds=delay))
        known = self.holder(lease)
        if known is None:
            with pytest.raises(LeaseLostError):
                self.host.run(releasing)
            return
        self.host.run(releasing)
        due_at = self.clock() + timedelta(seconds=delay) if delay else None
        self.expect_moved(known, "pending", attempt=known.run.attempt - 1, due_at=due_at)

    @precondition(lambda self: self.leases)
    @rule(
        deeds=st.lists(
            st.sampled_from(["renew", "wait", "reap", "claim", "interrupt", "rollback"]),
            min_size=3,
            max_size=8,
        )
    )
    def trouble(self, deeds: list[Literal["renew", "wait", "reap", "claim", "interrupt", "rollback"]]) -> None:
        """What may happen to the latest claim, in a row: most of it matters only after the rest."""
        for deed in deeds:
            if deed == "renew":
                self.renew(0)
            elif deed == "wait":
                self.let_time_pass(20)
            elif deed == "reap":
                self.reap(0)
            elif deed == "claim":
                self.claim(1)
            else:
                self.ask_to_stop(self.leases[-1].run.run_id, deed)

    @rule(seconds=st.sampled_from([1, 10]))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds)
        for thread_id in [held for held in self.holds if self.clock() >= self.held_since[held] + MOST_HELD / 2]:
            self.let_go(thread_id)

    @precondition(lambda self: any(known.lease_ends for known in self.expected.values()))
    @rule(seconds=st.sampled_from([0, 31]))
    def reap(self, seconds: int) -> None:
        self.let_time_pass(seconds)
        expired = [
            known
            for known in self.expected.values()
            if known.lease_ends is not None and known.lease_ends <= self.clock()
        ]
        reaped = self.host.run(self.stores.queue.reap(max_attempts=MAX_ATTEMPTS))
        assert {lease.run.run_id for lease in reaped} == {known.run.run_id for known in expired}
        for known in expired:
            again = known.run.attempt < MAX_ATTEMPTS or known.wish
            self.expect_moved(known, "pending" if again else "error")

    # ---------------------------------------------------------------- what is expected

    def picked(self, among: Sequence[T], pick: int) -> T:
        """One of the latest, however many there are."""
        return among[-1 - pick % len(among)]

    def inflight(self, thread_id: str) -> list[Expected]:
        return [
            known
            for known in self.expected.values()
            if known.run.thread_id == thread_id and known.run.status in INFLIGHT
        ]

    def holder(self, lease: Lease) -> Expected | None:
        """The run, if the lease is its present one."""
        known = self.expected.get(lease.run.run_id)
        return known if known and known.lease_ends is not None and known.token == lease.token else None

    def claimable(self) -> list[str]:
        """The oldest due run of each free thread, oldest first."""
        oldest = [self.oldest_due(thread_id) for thread_id in self.existing if self.is_free(thread_id)]
        return [known.run.run_id for known in sorted(filter(None, oldest), key=lambda known: known.place)]

    def is_free(self, thread_id: str) -> bool:
        running = any(known.run.status == "running" for known in self.inflight(thread_id))
        return not running and thread_id not in self.holds

    def oldest_due(self, thread_id: str) -> Expected | None:
        now = self.clock()
        due = [known for known in self.inflight(thread_id) if (known.run.due_at or now) <= now]
        return min(due, key=lambda known: known.place, default=None)

    def expect_claimed(self, lease: Lease) -> None:
        known = self.expected[lease.run.run_id]
        self.leases.append(lease)
        assert lease.token > self.highest.get(lease.run.run_id, 0)
        assert (lease.wish.action if lease.wish else None) == known.wish
        self.highest[lease.run.run_id] = known.token = lease.token
        known.lease_ends = self.clock() + LEASE
        known.run = replace(known.run, status="running", attempt=known.run.attempt + 1, due_at=None)

    def expect_stop(self, known: Expected, action: CancelAction) -> None:
        if known.run.status == "running":
            known.wish = action if known.wish is None or action == "rollback" else known.wish
        elif action == "rollback":
            del self.expected[known.run.run_id]
        else:
            self.expect_moved(known, "interrupted")

    def expect_moved(self, known: Expected, status: RunStatus, **changes: Any) -> None:
        known.run = replace(known.run, status=status, **changes)
        known.lease_ends = None
        if status not in INFLIGHT:
            self.ended[known.run.run_id] = status

    # ---------------------------------------------------------------- what always holds

    @invariant()
    def every_thread_is_as_expected(self) -> None:
        for thread_id in THREADS:
            if thread_id in self.existing:
                self.check_thread(thread_id)

    def check_thread(self, thread_id: str) -> None:
        query = RunQuery(thread_id=thread_id, limit=1000)
        rows = self.host.run(self.stores.runs.search(query, scope=EVERYTHING)).rows
        thread = self.host.run(self.stores.threads.get(thread_id, scope=EVERYTHING))
        known = [known.run for known in self.expected.values() if known.run.thread_id == thread_id]
        assert {run.run_id: (run.status, run.attempt) for run in rows} == {
            run.run_id: (run.status, run.attempt) for run in known
        }
        assert sum(run.status == "running" for run in rows) <= 1
        assert all(self.ended.get(run.run_id, run.status) == run.status for run in rows)
        assert (thread.status == "busy") == any(run.status in INFLIGHT for run in rows)


def run_queue_machine(
    connect: Callable[[OwnedClock], Stores],
    *,
    examples: int = 60,
    steps: int = 40,
) -> type[TestCase]:
    """The state machine as a test case for pytest to collect. ``connect`` gives empty stores, every time."""
    machine = cast(Any, type("Machine", (RunQueueMachine,), {"connect": staticmethod(connect)}))
    case: type[TestCase] = machine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)  # type: ignore[attr-defined]
    return case
