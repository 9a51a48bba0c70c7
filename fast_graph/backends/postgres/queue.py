"""The queue in PostgreSQL: the usual end of a run in one statement."""

from datetime import datetime
from typing import Any

from sqlalchemy import CTE, Delete, Update, delete, select, update

from fast_graph.backends.sql.queue import SqlQueue, expect_held, held_by, run_changes, thread_changes
from fast_graph.backends.sql.settling import settled_values
from fast_graph.backends.sql.tables import runs, threads
from fast_graph.model.records import Lease, Outcome


class PostgresQueue(SqlQueue):
    """Locks the thread, then the run, and writes both, in one round trip."""

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        if outcome.forget:
            await super().finish(lease, outcome)
            return
        ended = _gone(lease) if lease.run.temporary else _ended(lease, outcome, self._clock())
        async with self._database.statement() as connection:
            found = len((await connection.execute(ended)).all())
        if not found and lease.run.temporary:  # others are in flight on its thread, or the lease is lost
            await super().finish(lease, outcome)
        else:
            expect_held(lease, found)


def _held(lease: Lease) -> CTE:
    held = (
        select(runs.c.place, threads.c.thread_id)
        .select_from(threads)
        .join(runs, runs.c.thread_id == threads.c.thread_id)
    )
    return held.where(held_by(lease)).with_for_update(of=[threads, runs]).cte("held")


def _ended(lease: Lease, outcome: Outcome, now: datetime) -> Any:
    held = _held(lease)
    run: Update = update(runs).where(runs.c.place == held.c.place).values(run_changes(outcome, now))
    shown = settled_values(now, resting=outcome.thread_status, **thread_changes(outcome, now))
    thread = update(threads).where(threads.c.thread_id == held.c.thread_id).values(shown)
    return thread.add_cte(run.returning(runs.c.place).cte("ended")).returning(threads.c.thread_id)


def _gone(lease: Lease) -> Any:
    """A temporary thread without other runs in flight goes, and all its runs with it."""
    held = _held(lease)
    thread: Delete = delete(threads).where(threads.c.thread_id == held.c.thread_id, threads.c.inflight <= 1)
    gone = thread.returning(threads.c.thread_id).cte("gone")
    return delete(runs).where(runs.c.thread_id == gone.c.thread_id).returning(runs.c.place)
