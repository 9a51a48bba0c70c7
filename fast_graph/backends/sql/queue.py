"""The queue in a SQL database: a predicate over the rows of runs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CTE, ColumnElement, Row, and_, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import RUNS
from fast_graph.backends.sql.settling import settle
from fast_graph.backends.sql.tables import PENDING, RUNNING, runs, threads
from fast_graph.model.clock import Clock
from fast_graph.model.errors import LeaseLostError
from fast_graph.model.records import Lease, Outcome, Renewal, Wish, dead_letter

MOST_REAPED = 100
"""How many leases one call of ``reap`` takes back."""

LEASED = (*RUNS.columns, runs.c.token, runs.c.worker, runs.c.lease_until, runs.c.wish, runs.c.superseded_by)


class SqlQueue:
    """The RunQueue port."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._claimed_at = clock()

    async def claim(self, worker: str, *, limit: int, lease_for: timedelta) -> Sequence[Lease]:
        self._claimed_at = now = self._clock()
        return await self._claim(_ready(now).limit(limit).cte("ready"), worker, now, lease_for)

    async def claim_run(self, run_id: str, worker: str, *, lease_for: timedelta) -> Lease | None:
        now = self._clock()
        ready = _ready(now).where(runs.c.run_id == run_id).cte("ready")
        claimed = await self._claim(ready, worker, now, lease_for)
        return claimed[0] if claimed else None

    async def _claim(self, ready: CTE, worker: str, now: datetime, lease_for: timedelta) -> Sequence[Lease]:
        claimed = update(runs).where(runs.c.place.in_(select(ready.c.place)))
        claimed = claimed.values(
            status="running",
            worker=worker,
            token=runs.c.token + 1,
            attempt=runs.c.attempt + 1,
            due_at=None,
            lease_until=now + lease_for,
            updated_at=now,
        )
        async with self._database.statement() as connection:
            found = (await connection.execute(claimed.returning(*LEASED, runs.c.place))).all()
        return [_lease(row) for row in sorted(found, key=lambda row: row.place)]

    async def next_due(self) -> datetime | None:
        due = select(func.min(runs.c.due_at)).where(PENDING, runs.c.due_at > self._claimed_at)
        async with self._database.statement() as connection:
            return cast(datetime | None, await connection.scalar(due))

    async def renew(self, leases: Sequence[Lease], *, lease_for: timedelta) -> Sequence[Renewal]:
        mine = tuple_(runs.c.run_id, runs.c.token).in_([(lease.run.run_id, lease.token) for lease in leases])
        renewed = update(runs).where(RUNNING, mine).values(lease_until=self._clock() + lease_for)
        renewed = renewed.returning(runs.c.run_id, runs.c.wish, runs.c.superseded_by)
        async with self._database.statement() as connection:
            fresh = {row.run_id: _wish(row) for row in await connection.execute(renewed)}
        ids = [lease.run.run_id for lease in leases]
        return [Renewal(fresh=run_id in fresh, wish=fresh.get(run_id)) for run_id in ids]

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        run, now = lease.run, self._clock()
        async with self._database.transaction() as connection:
            if await settle(connection, run, now, resting=outcome.thread_status, **thread_changes(outcome, now)):
                await _end_with_thread(connection, lease)
            elif outcome.forget:
                expect_held(lease, (await connection.execute(delete(runs).where(held_by(lease)))).rowcount)
            else:
                ended = update(runs).where(held_by(lease)).values(run_changes(outcome, now))
                expect_held(lease, (await connection.execute(ended)).rowcount)

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


def _ready(now: datetime) -> Any:
    """The runs that may start, oldest first: due, the first of their thread, and nothing runs there.

    Their rows and their threads' are locked; what somebody else has locked is passed over. A run that is claimed or
    cancelled between our look and our lock is not taken, as PostgreSQL looks at it once more; and nobody can claim
    another run of the thread meanwhile without having changed this one, which is the thread's first.
    """
    other = runs.alias("other")
    due = or_(runs.c.due_at.is_(None), runs.c.due_at <= now)
    goes_first = and_(
        other.c.status == "pending",
        other.c.place < runs.c.place,
        or_(other.c.due_at.is_(None), other.c.due_at <= now),
    )
    hinders = exists().where(other.c.thread_id == runs.c.thread_id, or_(other.c.status == "running", goes_first))
    is_free = or_(threads.c.held_until.is_(None), threads.c.held_until <= now)
    ready = select(runs.c.place).join(threads, threads.c.thread_id == runs.c.thread_id)
    ready = ready.where(PENDING, due, is_free, ~hinders).order_by(runs.c.place)
    return ready.with_for_update(of=[runs, threads], skip_locked=True)


def _lease(row: Row[Any]) -> Lease:
    return Lease(run=RUNS.record(row), worker=row.worker, token=row.token, expires_at=row.lease_until, wish=_wish(row))


def _wish(row: Row[Any]) -> Wish | None:
    return None if row.wish is None else Wish(action=row.wish, superseded_by=row.superseded_by)


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
