"""The queue in PostgreSQL: claiming and finishing in one statement each, without SQLAlchemy's share."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from sqlalchemy import CTE, bindparam, delete, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from fast_graph.backends.postgres.direct import Direct, Prepared
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.queue import RUNNING_AS, SqlQueue, expect_held, run_changes, thread_changes
from fast_graph.backends.sql.settling import settled_values
from fast_graph.backends.sql.tables import runs, threads
from fast_graph.backends.standby import Standby
from fast_graph.model.clock import Clock
from fast_graph.model.records import Lease, Outcome
from fast_graph.storage.queue import Claimant


class PostgresQueue(SqlQueue):
    """The thread's row is locked first, then the run's, as everywhere."""

    def __init__(self, database: Database, direct: Direct, standby: Standby, clock: Clock) -> None:
        super().__init__(database, clock)
        self._direct = direct
        self._standby = standby

    def stand_by(self, claimant: Claimant) -> AbstractContextManager[None]:
        return self._standby.enlist(claimant)

    async def _rows(self, statement: ReturningUpdate[Any], values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return await self._direct.fetch(_prepared(statement), values)

    async def finish(self, lease: Lease, outcome: Outcome) -> bool:
        run, now = lease.run, self._clock()
        if outcome.forget:
            return await super().finish(lease, outcome)
        on_run, on_thread = run_changes(outcome, now), thread_changes(outcome, now)
        values = {f"run_{name}": value for name, value in on_run.items()}
        values |= {f"thread_{name}": value for name, value in on_thread.items()}
        values |= {"run_id": run.run_id, "token": lease.token, "now": now, "resting": outcome.thread_status}
        ending = _gone() if run.temporary else _ended(tuple(on_run), tuple(on_thread))
        found = await self._direct.fetch(ending, values)
        if run.temporary:  # if it is still there, others are in flight on its thread, or the lease is lost
            return not found and await super().finish(lease, outcome)
        expect_held(lease, len(found))
        return bool(found[0][0])


@cache
def _prepared(statement: ReturningUpdate[Any]) -> Prepared:
    return Prepared(statement)


def _held() -> CTE:
    """The leased run and its thread, both locked, the thread first."""
    held = select(runs.c.place, threads.c.thread_id).select_from(threads)
    held = held.join(runs, runs.c.thread_id == threads.c.thread_id).where(RUNNING_AS)
    return held.with_for_update(of=[threads, runs]).cte("held")


@cache
def _ended(on_run: Sequence[str], on_thread: Sequence[str]) -> Prepared:
    """These columns change on the run and on its thread."""
    held = _held()
    changes = {name: bindparam(f"run_{name}", type_=runs.c[name].type) for name in on_run}
    run = update(runs).where(runs.c.place == held.c.place).values(changes)
    shows: dict[str, Any] = {name: bindparam(f"thread_{name}", type_=threads.c[name].type) for name in on_thread}
    now, resting = bindparam("now", type_=threads.c.updated_at.type), bindparam("resting", type_=threads.c.resting.type)
    thread = update(threads).where(threads.c.thread_id == held.c.thread_id)
    thread = thread.values(settled_values(now, resting=resting, **shows))
    return Prepared(thread.add_cte(run.returning(runs.c.place).cte("ended")).returning(threads.c.inflight))


@cache
def _gone() -> Prepared:
    """A temporary thread without other runs in flight goes, and all its runs with it."""
    held = _held()
    thread = delete(threads).where(threads.c.thread_id == held.c.thread_id, threads.c.inflight <= 1)
    gone = thread.returning(threads.c.thread_id).cte("gone")
    return Prepared(delete(runs).where(runs.c.thread_id == gone.c.thread_id).returning(runs.c.place))
