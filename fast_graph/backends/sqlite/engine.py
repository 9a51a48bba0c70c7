"""The connection to the rows of a SQLite file."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fast_graph.backends.sql.dialects import SqliteJson

PATIENCE = 30.0
"""Seconds to wait for another connection's transaction."""

PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON")
"""A write is on its way to the disk when it is acknowledged: it survives the process, and no reader waits for it."""


def open_engine(path: Path) -> AsyncEngine:
    """One connection, whose transactions follow each other. Does no I/O yet."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=0, connect_args={"timeout": PATIENCE}
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    # The driver's own idea of when a transaction begins is too late for us: see _begin.
    connection.isolation_level = None
    for name, function in SqliteJson.FUNCTIONS.items():
        connection.create_function(name, 2, function, deterministic=True)
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # To read first and write later would fail when somebody else has written in between.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
