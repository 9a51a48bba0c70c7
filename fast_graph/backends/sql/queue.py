"""The queue in a SQL database: a predicate over the rows of runs."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import RUNS
from fast_graph.backends.sql.settling import settle
from fast_graph.backends.sql.tables import PENDING, RUNNING, has_status, runs, threads
from fast_graph.backends.sql.types import Moment
from fast_graph.model.clock import Clock
from fast_graph.model.errors import LeaseLostError
from fast_graph.model.records import Lease, Outcome, Renewal, StopWish, Wish, dead_letter
from fast_graph.storage.queue import Claimant

MOST_REAPED = 100
"""How many leases one call of ``reap`` takes back."""

LEASED = (*RUNS.columns, runs.c.token, runs.c.worker, runs.c.lease_until, runs.c.wish, runs.c.superseded_by)


def _ready() -> Select[Any]:
    """The runs that may start, oldest first: due, the first of their thread, and nothing runs there.

    Their rows and their threads' are locked; what somebody else has locked is passed over. A run that is claimed or
    cancelled between our look and our lock is not taken, as PostgreSQL looks at it once more; and nobody can claim
    another run of the thread meanwhile without having changed this one, which is the thread's first.
    """
    now = bindparam("now", type_=Moment)
    other = runs.alias("other")
    due = or_(runs.c.due_at.is_(None), runs.c.due_at <= now)
    goes_first = and_(
        has_status(other, "pending"),
        other.c.place < runs.c.place,
        or_(other.c.due_at.is_(None), other.c.due_at <= now),
    )
    hinders = exists().where(other.c.thread_id == runs.c.thread_id, or_(goes_first, has_status(other, "running")))
    is_free = or_(threads.c.held_until.is_(None), threads.c.held_until <= now)
    ready = select(runs.c.place).join(threads, threads.c.thread_id == runs.c.thread_id)
    ready = ready.where(PENDING, due, is_free, ~hinders).order_by(runs.c.place)
    return ready.with_for_update(of=[runs, threads], skip_locked=True)


def _claiming(ready: Select[Any]) -> ReturningUpdate[Any]:
    """Make these runs a worker's."""
    claimed = update(runs).where(runs.c.place.in_(select(ready.cte("ready").c.place)))
    claimed = claimed.values(
        status="running",
        worker=bindparam("worker"),
        token=runs.c.token + 1,
        attempt=runs.c.attempt + 1,
        due_at=None,
        lease_until=bindparam("lease_until"),
        updated_at=bindparam("now", type_=Moment),
    )
    return claimed.returning(*LEASED, runs.c.place)


RUNNING_AS = and_(
    runs.c.run_id == bindparam("run_id", type_=runs.c.run_id.type),
    runs.c.token == bindparam("token", type_=runs.c.token.type),
    RUNNING,
)
"""The row of a run, if a token is that of its present lease."""

CLAIM = _claiming(_ready().limit(bindparam("limit", type_=Integer)))
CLAIM_RUN = _claiming(_ready().where(runs.c.run_id == bindparam("wanted")))


class SqlQueue:
    """The RunQueue port."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._claimed_at = clock()

    def stand_by(self, claimant: Claimant) -> AbstractContextManager[None]:
        """Nobody is asked: a file is not far away."""
        return nullcontext()

    async def claim(self, worker: str, *, limit: int, lease_for: timedelta) -> Sequence[Lease]:
        self._claimed_at = now = self._clock()
        return await self._claim(CLAIM, worker, now, lease_for, limit=limit)

    async def claim_run(self, run_id: str, worker: str, *, lease_for: timedelta) -> Lease | None:
        claimed = await self._claim(CLAIM_RUN, worker, self._clock(), lease_for, wanted=run_id)
        return claimed[0] if claimed else None

    async def _claim(
        self, claim: ReturningUpdate[Any], worker: str, now: datetime, lease_for: timedelta, **which: object
    ) -> Sequence[Lease]:
        values = {"worker": worker, "now": now, "lease_until": now + lease_for, **which}
        rows = await self._rows(claim, values)
        return [_lease(row) for row in sorted(rows, key=itemgetter(len(LEASED)))]

    async def _rows(self, statement: ReturningUpdate[Any], values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        async with self._database.statement() as connection:
            return list(await connection.execute(statement, values))

    async def next_due(self) -> datetime | None:
        due = select(func.min(runs.c.due_at)).where(PENDING, runs.c.due_at > self._claimed_at)
        async with self._database.statement() as connection:
            return cast(datetime | None, await connection.scalar(due))

    async def renew(self, leases: Sequence[Lease], *, lease_for: timedelta) -> Sequence[Renewal]:
        mine = tuple_(runs.c.run_id, runs.c.token).in_([(lease.run.run_id, lease.token) for lease in leases])
        renewed = update(runs).where(RUNNING, mine).values(lease_until=self._clock() + lease_for)
        renewed = renewed.returning(runs.c.run_id, runs.c.wish, runs.c.superseded_by)
        async with self._database.statement() as connection:
            fresh = {run_id: _wish(*wish) for run_id, *wish in await connection.execute(renewed)}
        ids = [lease.run.run_id for lease in leases]
        return [Renewal(fresh=run_id in fresh, wish=fresh.get(run_id)) for run_id in ids]

    async def finish(self, lease: Lease, outcome: Outcome) -> bool:
        run, now = lease.run, self._clock()
        async with self._database.transaction() as connection:
            if await settle(connection, run, now, resting=outcome.thread_status, **thread_changes(outcome, now)):
                await _end_with_thread(connection, lease)
            elif outcome.forget:
                expect_held(lease, (await connection.execute(delete(runs).where(held_by(lease)))).rowcount)
            else:
                ended = update(runs).where(held_by(lease)).values(run_changes(outcome, now))
                expect_held(lease, (await connection.execute(ended)).rowcount)
        return True

    async def release(self, lease: Lease, *, delay: timedelta) -> None:
        now = self._clock()
        due_at = now + delay if delay else None
        released = (
            update(runs)
            .where(held_by(lease))
            .values(status="pending", due_at=due_at, attempt=runs.c.attempt - 1, lease_until=None, updated_at=now)
        )
        async with self._database.statement() as connection:
            expect_held(lease, (await connection.execute(released)).rowcount)

    async def reap(self, *, max_attempts: int) -> Sequence[Lease]:
        now = self._clock()
        expired = select(*LEASED).join(threads, threads.c.thread_id == runs.c.thread_id)
        expired = expired.where(RUNNING, runs.c.lease_until <= now).order_by(runs.c.place).limit(MOST_REAPED)
        async with self._database.transaction() as connection:
            found = await connection.execute(expired.with_for_update(of=[threads, runs], skip_locked=True))
            leases = [_lease(row) for row in found]
            for lease in leases:
                await _take_back(connection, lease, max_attempts, now)
        return leases


def _lease(row: Sequence[Any]) -> Lease:
    token, worker, expires_at, action, superseded_by = row[len(RUNS.columns) : len(LEASED)]
    return Lease(
        run=RUNS.record(row),
        worker=worker,
        token=token,
        expires_at=expires_at,
        wish=_wish(action, superseded_by),
    )


def _wish(action: StopWish | None, superseded_by: str | None) -> Wish | None:
    return None if action is None else Wish(action=action, superseded_by=superseded_by)


def held_by(lease: Lease) -> ColumnElement[bool]:
    """The run's row, if the lease is its present one."""
    return and_(runs.c.run_id == lease.run.run_id, runs.c.token == lease.token, RUNNING)


def expect_held(lease: Lease, found: int) -> None:
    """Raise LeaseLostError unless something was found."""
    if not found:
        raise LeaseLostError(f"The lease of run {lease.run.run_id} is no longer held by {lease.worker}")


def run_changes(outcome: Outcome, now: datetime) -> dict[str, Any]:
    """What the row of a run that has ended says."""
    failed = outcome.status in ("error", "timeout")
    return {"status": outcome.status, "error": outcome.error if failed else None, "updated_at": now}


def thread_changes(outcome: Outcome, now: datetime) -> dict[str, Any]:
    """What the run leaves on its thread's row."""
    changes: dict[str, Any] = {"error": outcome.error, "touched": True}
    if outcome.state is not None:
        changes |= {"values": outcome.state.values, "interrupts": outcome.state.interrupts, "state_updated_at": now}
    return changes


async def _end_with_thread(connection: AsyncConnection, lease: Lease) -> None:
    """The thread is gone: remove its runs, of which the leased one must be one."""
    gone = delete(runs).where(runs.c.thread_id == lease.run.thread_id)
    found = await connection.execute(gone.returning(runs.c.run_id, runs.c.token, runs.c.status))
    expect_held(lease, [tuple(row) for row in found].count((lease.run.run_id, lease.token, "running")))


async def _take_back(connection: AsyncConnection, lease: Lease, max_attempts: int, now: datetime) -> None:
    run = lease.run
    if run.attempt < (run.max_attempts or max_attempts) or lease.wish is not None:
        changes = {"status": "pending", "due_at": None, "lease_until": None, "updated_at": now}
        await connection.execute(update(runs).where(held_by(lease)).values(changes))
        return
    error = dead_letter(run)
    if await settle(connection, run, now, resting="error", error=error, touched=True):
        await connection.execute(delete(runs).where(runs.c.thread_id == run.thread_id))
    else:
        ended = update(runs).where(held_by(lease))
        await connection.execute(ended.values(status="error", error=error, updated_at=now))
