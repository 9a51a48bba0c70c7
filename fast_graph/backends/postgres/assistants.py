"""Assistants in PostgreSQL: looking one up without SQLAlchemy's share."""

from functools import cache

from sqlalchemy import bindparam, select

from fast_graph.backends.postgres.direct import Direct, Prepared
from fast_graph.backends.sql.assistants import SqlAssistants
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import ASSISTANTS
from fast_graph.backends.sql.tables import assistants
from fast_graph.model.clock import Clock
from fast_graph.model.errors import NotFoundError
from fast_graph.model.records import Assistant, Scope


class PostgresAssistants(SqlAssistants):
    """Every run begins by reading its assistant."""

    def __init__(self, database: Database, direct: Direct, clock: Clock) -> None:
        super().__init__(database, clock)
        self._direct = direct

    async def get(self, assistant_id: str, *, scope: Scope) -> Assistant:
        if scope:
            return await super().get(assistant_id, scope=scope)
        found = await self._direct.fetch(_lookup(), {"wanted": assistant_id})
        if not found:
            raise NotFoundError(f"Assistant {assistant_id} not found")
        return ASSISTANTS.record(found[0])


@cache
def _lookup() -> Prepared:
    return Prepared(select(*ASSISTANTS.columns).where(assistants.c.assistant_id == bindparam("wanted")))
