"""Runs in PostgreSQL: the usual creation in one statement."""

from typing import Any

from sqlalchemy import CTE, insert, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import ReturningInsert

from fast_graph.backends.sql.rows import RUNS
from fast_graph.backends.sql.runs import SqlRuns
from fast_graph.backends.sql.tables import runs
from fast_graph.model.errors import ConflictError
from fast_graph.model.records import Created, Json, Run, Scope, Thread


class PostgresRuns(SqlRuns):
    """A run that displaces no other needs one round trip: the thread's row has all that decides."""

    async def create(self, run: Run, *, create_thread: Thread | None, thread_config: Json, scope: Scope) -> Created:
        if run.multitask_strategy in ("interrupt", "rollback"):
            return await super().create(run, create_thread=create_thread, thread_config=thread_config, scope=scope)
        occupied = self._occupying("postgresql", run, create_thread, thread_config, scope).cte("occupied")
        try:
            async with self._database.statement() as connection:
                if (await connection.execute(_inserted(run, occupied))).first() is None:
                    await self._refuse(connection, run, scope)
        except IntegrityError as error:
            raise ConflictError(f"Run {run.run_id} already exists") from error
        return Created(run=run)


def _inserted(run: Run, occupied: CTE) -> ReturningInsert[Any]:
    """The run's row, if its thread was there to be occupied."""
    values = RUNS.values(run)
    row = select(*(literal(value, runs.c[name].type) for name, value in values.items()))
    return insert(runs).from_select(list(values), row.select_from(occupied)).returning(runs.c.place)
