"""Whether a SQL database has room for one more run, counted in the transaction that creates it.

Creations that use the same share wait for each other, so that however many instances there are, none passes it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from fast_graph.backends.sql.tables import IN_FLIGHT, PENDING, runs
from fast_graph.model.quota import DISPLACING, Counts, Quota, check_quota
from fast_graph.model.records import Run

LOCKS = 0x66617374
"""What tells our locks from those of other applications in the same database."""


NEAR = 1000
"""How much room has to be left among what waits for runs to be created without waiting for each other."""


async def admit(connection: AsyncConnection, run: Run, quota: Quota) -> None:
    """Raises LimitError if the quota has no room for the run."""
    others = runs.c.thread_id != run.thread_id if run.multitask_strategy in DISPLACING else true()
    shares = _shares(run, quota)
    counted = {column.name: _count(IN_FLIGHT & (column == value) & others, most) for column, value, most in shares}
    names = [f"{column.name} {value}" for column, value, _ in shares]
    if quota.pending is not None and await _is_near(connection, quota.pending):
        counted["pending"] = _count(PENDING & others, quota.pending)
        names.append("pending")
    if connection.dialect.name == "postgresql":
        await _lock(connection, names)
    if counted:
        found = (await connection.execute(select(*(count.label(name) for name, count in counted.items())))).mappings()
        check_quota(run, quota, _counts(found.one()))


async def _is_near(connection: AsyncConnection, most: int) -> bool:
    """Whether so much waits already that it has to be counted exactly."""
    far = most - NEAR
    return far <= 0 or (await connection.execute(select(_count(PENDING, far)))).scalar_one() >= far


async def _lock(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Until the transaction ends, nobody else creates a run under these names.

    By statements of their own: the one that counts then sees what whoever held the lock has created. The order is the
    same for all.
    """
    for name in sorted(names):
        await connection.execute(select(func.pg_advisory_xact_lock(LOCKS, func.hashtext(name).cast(Integer))))


def _shares(run: Run, quota: Quota) -> Sequence[tuple[ColumnElement[Any], str, int]]:
    """What the run is counted under, and how many there may be."""
    candidates = ((runs.c.caller, run.caller, quota.per_caller), (runs.c.graph_id, run.graph_id, quota.per_graph))
    return [(column, value, most) for column, value, most in candidates if value is not None and most is not None]


def _count(which: ColumnElement[bool], most: int) -> Any:
    """How many there are, but nobody counts beyond what is allowed."""
    found = select(runs.c.place).where(which).limit(most).subquery()
    return select(func.count()).select_from(found).scalar_subquery()


def _counts(found: Any) -> Counts:
    return Counts(pending=found.get("pending", 0), of_caller=found.get("caller", 0), of_graph=found.get("graph_id", 0))
