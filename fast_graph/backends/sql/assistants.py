"""Assistants in a SQL database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.rows import ASSISTANTS
from fast_graph.backends.sql.tables import assistant_versions, assistants
from fast_graph.model.clock import Clock
from fast_graph.model.errors import ConflictError, NotFoundError
from fast_graph.model.queries import AssistantQuery
from fast_graph.model.records import Assistant, Json, Page, Scope

VERSION = [assistant_versions.c[column.name] for column in ASSISTANTS.columns]


class SqlAssistants:
    """The AssistantStore port."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, assistant: Assistant) -> None:
        values = ASSISTANTS.values(assistant)
        try:
            async with self._database.transaction() as connection:
                await connection.execute(insert(assistants), values)
                await connection.execute(insert(assistant_versions), values)
        except IntegrityError as error:
            raise ConflictError(f"Assistant {assistant.assistant_id} already exists") from error

    async def get(self, assistant_id: str, *, scope: Scope) -> Assistant:
        async with self._database.statement() as connection:
            return await self._get(connection, assistant_id, scope)

    async def _get(
        self, connection: AsyncConnection, assistant_id: str, scope: Scope, *, lock: bool = False
    ) -> Assistant:
        found = select(*ASSISTANTS.columns).where(assistants.c.assistant_id == assistant_id)
        found = found.where(self._database.json.in_scope(assistants.c.metadata, scope))
        row = (await connection.execute(found.with_for_update() if lock else found)).first()
        if row is None:
            raise NotFoundError(f"Assistant {assistant_id} not found")
        return ASSISTANTS.record(row)

    async def search(self, query: AssistantQuery, *, scope: Scope) -> Page[Assistant]:
        json = self._database.json
        found = select(*ASSISTANTS.columns).where(json.in_scope(assistants.c.metadata, scope))
        if query.metadata:
            found = found.where(json.contains(assistants.c.metadata, query.metadata))
        if query.graph_id is not None:
            found = found.where(assistants.c.graph_id == query.graph_id)
        if query.name:
            found = found.where(func.lower(assistants.c.name).contains(query.name.lower(), autoescape=True))
        async with self._database.statement() as connection:
            return await ASSISTANTS.page(connection, found, query, assistants.c.assistant_id)

    async def update(self, assistant_id: str, changes: Json, *, scope: Scope) -> Assistant:
        async with self._database.transaction() as connection:
            now = await self._get(connection, assistant_id, scope, lock=True)
            highest = select(func.max(assistant_versions.c.version))
            number = await connection.scalar(highest.where(assistant_versions.c.assistant_id == assistant_id))
            metadata = {**now.metadata, **changes.get("metadata", {})}
            values = {**ASSISTANTS.values(now), **changes, "metadata": metadata, "version": (number or 0) + 1}
            values["updated_at"] = self._clock()
            await connection.execute(insert(assistant_versions), values)
            return await self._show(connection, assistant_id, values)

    async def _show(self, connection: AsyncConnection, assistant_id: str, values: dict[str, Any]) -> Assistant:
        """Make these the assistant's present values."""
        changed = update(assistants).where(assistants.c.assistant_id == assistant_id).values(values)
        return ASSISTANTS.record((await connection.execute(changed.returning(*ASSISTANTS.columns))).one())

    async def versions(
        self, assistant_id: str, *, metadata: Json, limit: int, offset: int, scope: Scope
    ) -> Sequence[Assistant]:
        found = select(*VERSION).where(assistant_versions.c.assistant_id == assistant_id)
        if metadata:
            found = found.where(self._database.json.contains(assistant_versions.c.metadata, metadata))
        page = found.order_by(assistant_versions.c.version.desc()).limit(limit).offset(offset)
        async with self._database.statement() as connection:
            await self._get(connection, assistant_id, scope)
            return [ASSISTANTS.record(row) for row in await connection.execute(page)]

    async def set_latest(self, assistant_id: str, version: int, *, scope: Scope) -> Assistant:
        is_wanted = (assistant_versions.c.assistant_id == assistant_id) & (assistant_versions.c.version == version)
        async with self._database.transaction() as connection:
            await self._get(connection, assistant_id, scope, lock=True)
            row = (await connection.execute(select(*VERSION).where(is_wanted))).first()
            if row is None:
                raise NotFoundError(f"Version {version} not found for assistant {assistant_id}")
            values = {**ASSISTANTS.values(ASSISTANTS.record(row)), "updated_at": self._clock()}
            return await self._show(connection, assistant_id, values)

    async def delete(self, assistant_id: str, *, scope: Scope) -> None:
        async with self._database.transaction() as connection:
            await self._get(connection, assistant_id, scope, lock=True)
            for table in (assistant_versions, assistants):
                await connection.execute(delete(table).where(table.c.assistant_id == assistant_id))
