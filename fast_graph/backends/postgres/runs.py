"""Runs in PostgreSQL: the usual creation in one statement, without SQLAlchemy's share."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import asyncpg
from sqlalchemy import CTE, ColumnElement, Integer, and_, bindparam, case, insert, or_, select, update
from sqlalchemy.dialects import postgresql

from fast_graph.backends.postgres.direct import Direct, Prepared
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import RUNS, THREADS
from fast_graph.backends.sql.runs import SHARED_METADATA, SqlRuns
from fast_graph.backends.sql.tables import RUNNING, runs, threads
from fast_graph.backends.sql.types import Json as JsonColumn
from fast_graph.backends.sql.types import Moment
from fast_graph.backends.standby import Offer, Standby
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, NotFoundError, UnavailableError
from fast_graph.model.quota import DISPLACING, UNLIMITED, Quota
from fast_graph.model.records import Created, Json, Lease, Run, Scope, Thread

FIRST = 1
"""The token of a run that is claimed as it is created, and the number of that attempt."""


def is_plain(scope: Scope) -> bool:
    """Whether it wants some keys to be certain texts, as most do: then containment says all."""
    return all(isinstance(value, str) and not key.startswith("$") for key, value in scope.items())


class PostgresRuns(SqlRuns):
    """A run that displaces no other needs one round trip: the thread's row has all that decides."""

    def __init__(self, database: Database, direct: Direct, standby: Standby, clock: Clock) -> None:
        super().__init__(database, clock)
        self._direct = direct
        self._standby = standby

    async def create(
        self,
        run: Run,
        *,
        create_thread: Thread | None,
        thread_config: Json,
        scope: Scope,
        quota: Quota = UNLIMITED,
    ) -> Created:
        asked: Any = {"create_thread": create_thread, "thread_config": thread_config, "scope": scope, "quota": quota}
        if not is_plain(scope) or quota != UNLIMITED:
            return await super().create(run, **asked)
        with self._standby.offer(run) as offer:
            try:
                created = await self._create(run, create_thread, thread_config, scope, offer)
            except (UnavailableError, asyncio.CancelledError):
                if offer is not None:
                    await self._give_back(run, offer)
                raise
        if created:
            return Created(run=run, claimed=offer is not None and offer.lease is not None)
        if run.multitask_strategy in DISPLACING:  # there are runs that it displaces
            return await super().create(run, **asked)
        async with self._database.statement() as connection:
            await self._refuse(connection, run, scope)
        return Created(run=run)

    async def _create(
        self, run: Run, create_thread: Thread | None, config: Json, scope: Scope, offer: Offer | None
    ) -> bool:
        """Whether the thread took the run; if it was claimed at once, the offer has the lease."""
        now = self._clock()
        shared = {key: run.metadata[key] for key in SHARED_METADATA if key in run.metadata}
        values = {"thread_id": run.thread_id, "config": config, "shared": shared, "now": now, "scope": scope}
        values |= {f"run_{name}": value for name, value in RUNS.values(run).items()}
        values |= {"worker": offer and offer.worker, "lease_until": offer and offer.until(now)}
        if create_thread is not None:
            values |= {f"made_{name}": value for name, value in THREADS.values(create_thread).items()}
            values["made_metadata"] = {**create_thread.metadata, **shared}
        creation = _creation(alone=run.multitask_strategy != "enqueue", makes_thread=create_thread is not None)
        try:
            created = await self._direct.fetch(creation, values)
        except asyncpg.UniqueViolationError as error:
            raise ConflictError(f"Run {run.run_id} already exists") from error
        if created and offer is not None and created[0][0] == "running":
            claimed = replace(run, status="running", attempt=FIRST, updated_at=now)
            offer.lease = Lease(run=claimed, worker=offer.worker, token=FIRST, expires_at=offer.until(now))
        return bool(created)

    async def _give_back(self, run: Run, offer: Offer) -> None:
        """Nobody knows whether the run was created. If it was, it has no worker: let it be claimed."""
        with suppress(UnavailableError):  # then its lease has to end first
            await self._direct.fetch(_giving_back(), {"wanted": run.run_id, "offered_to": offer.worker})

    async def get(self, run_id: str, *, thread_id: str | None, scope: Scope) -> Run:
        if scope:
            return await super().get(run_id, thread_id=thread_id, scope=scope)
        found = await self._direct.fetch(_lookup(), {"run_id": run_id})
        run = RUNS.record(found[0]) if found else None
        if run is None or thread_id not in (None, run.thread_id):
            raise NotFoundError("Run not found")
        return run


@cache
def _lookup() -> Prepared:
    return Prepared(select(*RUNS.columns).where(runs.c.run_id == bindparam("run_id")))


@cache
def _giving_back() -> Prepared:
    is_untouched = and_(runs.c.worker == bindparam("offered_to"), runs.c.token == FIRST, RUNNING)
    back = update(runs).where(runs.c.run_id == bindparam("wanted"), is_untouched)
    back = back.values(status="pending", attempt=0, lease_until=None)
    return Prepared(back.returning(runs.c.place))


@cache
def _creation(*, alone: bool, makes_thread: bool) -> Prepared:
    """Make the thread busy with one run more, perhaps having made it, and add the run's row if that was possible.

    ``alone`` is only without others in flight. The row is a worker's at once if one is named and nothing is before it.
    """
    config, now = bindparam("config", type_=JsonColumn), bindparam("now", type_=Moment)
    shared = bindparam("shared", type_=JsonColumn)
    busy = {"status": "busy", "config": config, "updated_at": now}
    metadata = threads.c.metadata.op("||")(shared)
    changes = {**busy, "metadata": metadata, "inflight": threads.c.inflight + 1}
    visible = threads.c.metadata.op("@>", is_comparison=True)(bindparam("scope", type_=JsonColumn))
    admits = and_(visible, threads.c.inflight == 0) if alone else visible
    if makes_thread:
        made = {column.name: bindparam(f"made_{column.name}", type_=column.type) for column in THREADS.columns}
        inserted = postgresql.insert(threads).values({**made, **busy, "inflight": 1})
        occupying: Any = inserted.on_conflict_do_update(
            index_elements=[threads.c.thread_id], set_=changes, where=admits
        )
    else:
        occupying = update(threads).where(threads.c.thread_id == bindparam("thread_id"), admits).values(changes)
    occupied = occupying.returning(threads.c.inflight, threads.c.held_until).cte("occupied")
    row = _row(occupied)
    adding = insert(runs).from_select([column.name for column in row], select(*row).select_from(occupied))
    return Prepared(adding.returning(runs.c.status))


def _row(occupied: CTE) -> Sequence[ColumnElement[Any]]:
    """The new row's columns; those that a claim sets depend on whether it is one."""
    given = {column.name: bindparam(f"run_{column.name}", type_=column.type) for column in RUNS.columns}
    worker, until = bindparam("worker", type_=runs.c.worker.type), bindparam("lease_until", type_=Moment)
    is_free = or_(occupied.c.held_until.is_(None), occupied.c.held_until <= bindparam("now", type_=Moment))
    is_claimed = and_(worker.is_not(None), occupied.c.inflight == 1, is_free)
    first = bindparam("first", FIRST, type_=Integer)
    claim = {
        "status": case((is_claimed, "running"), else_=given["status"]),
        "attempt": case((is_claimed, first), else_=given["attempt"]),
        "token": case((is_claimed, first), else_=0),
        "worker": case((is_claimed, worker)),
        "lease_until": case((is_claimed, until)),
    }
    return [value.label(name) for name, value in {**given, **claim}.items()]
