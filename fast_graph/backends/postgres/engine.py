"""The connections to the rows in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fast_graph.model.errors import ConfigurationError

CONNECT_PATIENCE = 5.0
"""Seconds to wait for the server to accept a connection, and for a connection of the pool to come free."""


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """Where the database is, and how many connections it is worth. Raises ConfigurationError for a malformed URL."""

    url: str = field(repr=False)
    """``postgresql://user:password@host:port/name``; a driver in the scheme is ignored."""
    pool_size: int = 10
    """Connections kept open for rows, and as many, at most, for checkpoints and items."""
    max_overflow: int = 10
    """Connections for rows that may be opened beyond those for a moment."""
    echo: bool = False
    """Log every statement."""
    patience: float = 30.0
    """Seconds after which a statement is given up: the server has gone without saying so."""

    def __post_init__(self) -> None:
        if not self._address.drivername.startswith("postgres"):
            raise ConfigurationError(f"{self._address.drivername}:// is no PostgreSQL: write postgresql://...")

    @property
    def _address(self) -> URL:
        try:
            return make_url(self.url)
        except ArgumentError:  # its text has the URL, and that the password
            raise ConfigurationError(
                "The URL of PostgreSQL is malformed: write postgresql://user:password@host:5432/database"
            ) from None

    @property
    def where(self) -> str:
        """The address as people write it, without secrets."""
        address = self._address
        return f"{address.host or 'localhost'}:{address.port or 5432}/{address.database or ''}"

    @property
    def libpq(self) -> str:
        """The URL as PostgreSQL's own library reads it."""
        return self._address.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def sqlalchemy(self) -> URL:
        """The URL with our driver in its scheme."""
        return self._address.set(drivername="postgresql+asyncpg")


def open_engine(options: PostgresOptions) -> AsyncEngine:
    """A pool of connections. Does no I/O yet."""
    return create_async_engine(
        options.sqlalchemy,
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=CONNECT_PATIENCE,
        echo=options.echo,
        json_deserializer=_as_text,
        connect_args={
            "timeout": CONNECT_PATIENCE,
            "command_timeout": options.patience,
            "server_settings": {"application_name": "fast-graph", "jit": "off"},
        },
    )


def _as_text(json: str) -> str:
    """The column types make of it what they need."""
    return json


@asynccontextmanager
async def reachable(options: PostgresOptions) -> AsyncIterator[None]:
    """Around the first connection: what is wrong with it, in one sentence. Raises ConfigurationError."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, SQLAlchemyError) and error.__cause__ else error
        reason = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        raise ConfigurationError(
            f"PostgreSQL at {options.where} cannot be used: {reason}. Check POSTGRE_DATABASE_URL and the server"
        ) from error
