"""The driver by itself, for the few statements that every run needs.

SQLAlchemy writes most of them, once. What it does for each execution would cost ten times what the driver does.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import Select

from fast_graph.backends.postgres.engine import CONNECT_PATIENCE, PostgresOptions
from fast_graph.backends.sql.database import refuse_unstorable
from fast_graph.model.errors import UnavailableError

DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


PARAMETER = re.compile(r"%\((\w+)\)s")
"""A parameter of a statement that was written by hand."""


class Statement(Protocol):
    """What is executed: a text with numbered parameters."""

    text: str

    def arguments(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """The values in their places, as the driver takes them."""
        ...

    def row(self, record: asyncpg.Record) -> Sequence[Any]:
        """The columns of a row that it returns."""
        ...


class Written:
    """A statement that was written by hand, with parameters like ``%(name)s``; values are the driver's own types."""

    def __init__(self, text: str) -> None:
        self._names = list(dict.fromkeys(PARAMETER.findall(text)))
        numbers = {name: f"${number}" for number, name in enumerate(self._names, 1)}
        self.text = PARAMETER.sub(lambda found: numbers[found[1]], text)

    def arguments(self, values: Mapping[str, Any]) -> Sequence[Any]:
        return [values[name] for name in self._names]

    def row(self, record: asyncpg.Record) -> Sequence[Any]:
        return tuple(record)


class Prepared:
    """A statement of SQLAlchemy's with named parameters, compiled; rows are as SQLAlchemy would return them."""

    def __init__(self, statement: Select[Any] | UpdateBase) -> None:
        compiled = statement.compile(dialect=DIALECT)
        self.text = str(compiled)
        self._fixed = dict(compiled.params)
        binds = {name: compiled.binds[name].type for name in compiled.positiontup or ()}
        self._parameters = [(name, kind.dialect_impl(DIALECT).bind_processor(DIALECT)) for name, kind in binds.items()]
        columns = statement.exported_columns
        self._results = [column.type.dialect_impl(DIALECT).result_processor(DIALECT, None) for column in columns]

    def arguments(self, values: Mapping[str, Any]) -> Sequence[Any]:
        given = {**self._fixed, **values}
        return [given[name] if process is None else process(given[name]) for name, process in self._parameters]

    def row(self, record: asyncpg.Record) -> Sequence[Any]:
        return [
            value if process is None else process(value) for value, process in zip(record, self._results, strict=True)
        ]


class Direct:
    """A pool of the driver's own connections, each statement a transaction. Enter it to use it."""

    def __init__(self, options: PostgresOptions) -> None:
        self._options = options

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._options.libpq,
            min_size=1,
            max_size=self._options.pool_size,
            timeout=CONNECT_PATIENCE,
            command_timeout=self._options.patience,
            # Every statement is the same each time but for its values: planned once, it is the same plan, too.
            server_settings={"application_name": "fast-graph", "jit": "off", "plan_cache_mode": "force_generic_plan"},
            reset=_nothing,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.terminate()

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Execute a statement. Raises UnavailableError."""
        arguments = statement.arguments(values)
        async with self._connection() as connection:
            found = await connection.fetch(statement.text, *arguments)
        return [statement.row(record) for record in found]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with self._pool.acquire(timeout=CONNECT_PATIENCE) as connection:
                yield connection
        except UNREACHABLE as error:
            raise UnavailableError("The database cannot be reached at the moment") from error
        except asyncpg.PostgresError as error:
            refuse_unstorable(error)
            raise


async def _nothing(connection: asyncpg.Connection) -> None:
    """These connections are never left in a state that would have to be reset."""
