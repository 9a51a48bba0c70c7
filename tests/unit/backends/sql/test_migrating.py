"""What the migrations make is what the tables say, on both databases."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from fast_graph.backends.postgres import engine as postgres
from fast_graph.backends.postgres.migrating import migrate, outdated
from fast_graph.backends.sql.migrating import VERSION_TABLE, current, newest, upgrade
from fast_graph.backends.sql.tables import metadata

ONLY_IN_POSTGRES = ("_metadata'", "_values'")
"""How the names of indexes end that SQLite has not."""


@pytest.fixture(params=["sqlite", "postgres"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine as SQLAlchemy makes it, which can look into any database."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'graphs.db'}")
    else:
        url = make_url(request.getfixturevalue("postgres_url")).set(drivername="postgresql+psycopg")
        engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def database(postgres_url: str) -> AsyncEngine:
    return postgres.open_engine(postgres.PostgresOptions(url=postgres_url))


def differences(connection: Connection) -> list[str]:
    ours = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    found = [str(difference) for difference in compare_metadata(ours, metadata)]
    if connection.dialect.name == "sqlite":
        return [difference for difference in found if not any(name in difference for name in ONLY_IN_POSTGRES)]
    return found


def test_the_migrations_make_the_tables(plain: Engine) -> None:
    with plain.begin() as connection:
        assert current(connection) is None
        upgrade(connection)
        assert current(connection) == newest()
        assert differences(connection) == []


async def test_a_second_time_nothing_is_left_to_do(database: AsyncEngine) -> None:
    assert await outdated(database) is not None
    assert "from nothing to" in await migrate(database, [])
    assert "up to date" in await migrate(database, [])
    assert await outdated(database) is None
    await database.dispose()


async def test_many_migrate_at_once_and_one_does(database: AsyncEngine) -> None:
    said = await asyncio.gather(*(migrate(database, []) for _ in range(4)))
    assert sum("from nothing to" in sentence for sentence in said) == 1
    await database.dispose()


async def test_what_a_newer_version_has_migrated_is_left_alone(database: AsyncEngine) -> None:
    await migrate(database, [])
    async with database.begin() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    assert "up to date (revision 9999)" in await migrate(database, [])
    assert await outdated(database) is None
    await database.dispose()
