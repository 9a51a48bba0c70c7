"""The connections to the rows in PostgreSQL."""

from dataclasses import dataclass

from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CONNECT_PATIENCE = 5.0
"""Seconds to wait for the server to accept a connection, and for a connection of the pool to come free."""

STATEMENT_PATIENCE = 30.0
"""Seconds after which a statement is given up: the server has gone without saying so."""


@dataclass(frozen=True, kw_only=True)
class PostgresOptions:
    """Where the database is, and how many connections it is worth."""

    url: str
    """``postgresql://user:password@host:port/name``; a driver in the scheme is ignored."""
    pool_size: int = 10
    """Connections kept open."""
    max_overflow: int = 10
    """Connections opened beyond those for a moment."""
    echo: bool = False
    """Log every statement."""

    @property
    def address(self) -> URL:
        """The URL without a driver."""
        return make_url(self.url).set(drivername="postgresql")


def open_engine(options: PostgresOptions) -> AsyncEngine:
    """A pool of connections. Does no I/O yet."""
    return create_async_engine(
        options.address.set(drivername="postgresql+asyncpg"),
        pool_size=options.pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=CONNECT_PATIENCE,
        echo=options.echo,
        json_deserializer=_as_text,
        connect_args={
            "timeout": CONNECT_PATIENCE,
            "command_timeout": STATEMENT_PATIENCE,
            "server_settings": {"application_name": "fast-graph", "jit": "off"},
        },
    )


def _as_text(json: str) -> str:
    """The column types make of it what they need."""
    return json
