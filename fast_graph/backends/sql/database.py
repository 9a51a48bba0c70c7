"""One database: its connections, its transactions, and what becomes of their errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from fast_graph.backends.sql.dialects import JsonDialect
from fast_graph.model.errors import InvalidError, UnavailableError

UNSTORABLE = ("22", "54")
"""How the SQLSTATE of errors begins that are the value's own fault: what it is, and how large it is."""

GONE = ("08", "53", "57")
"""How the SQLSTATE of errors begins that are the server's: lost connections, too many of them, stopping, starting."""

UNREACHABLE = (OSError, TimeoutError, PoolTimeoutError, OperationalError, InterfaceError)


class Database:
    """An engine, and how its dialect speaks JSON."""

    def __init__(self, engine: AsyncEngine, json: JsonDialect) -> None:
        self.engine = engine
        self.json = json
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements take effect together, or not at all. Raises UnavailableError."""
        with_errors = _Translating()
        with with_errors:
            async with self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose every statement takes effect by itself. Raises UnavailableError."""
        with _Translating():
            async with self._single.connect() as connection:
                yield connection


class _Translating:
    """Turns what drivers raise when the server is away into UnavailableError."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and is_unreachable(error):
            raise UnavailableError("The database cannot be reached at the moment") from error
        if isinstance(error, DBAPIError):
            refuse_unstorable(error.orig)


def refuse_unstorable(error: BaseException | None) -> None:
    """Raise InvalidError for a value that the database cannot store at all: an id with a NUL character, a huge one."""
    state = getattr(error, "sqlstate", None)
    if state is not None and str(state).startswith(UNSTORABLE):
        raise InvalidError(f"The database cannot store this: {error}") from error


def is_unreachable(error: BaseException) -> bool:
    """Whether the error says nothing of the statement, but that the server is away."""
    if isinstance(error, DBAPIError):
        gone = str(getattr(error.orig, "sqlstate", "")).startswith(GONE)
        return gone or error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, UNREACHABLE)
