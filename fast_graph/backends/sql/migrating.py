"""Bringing the tables up to date.

A migration only adds, so that old and new servers work side by side during a deploy: what the old ones do not know has
a default, and what the new ones no longer need goes a release later.
"""

from pathlib import Path

from alembic.command import upgrade as run_upgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

VERSION_TABLE = "fast_graph_migrations"


def newest() -> str | None:
    """The revision that this version of FastGraph works with."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current(connection: Connection) -> str | None:
    """The revision of a database; ``None`` if it has no tables of ours."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def known(revision: str) -> bool:
    """Whether this version has the migration: one that a newer version made is not known."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def upgrade(connection: Connection) -> None:
    """Run the migrations that the database lacks; nothing if a newer version has been there."""
    revision = current(connection)
    if revision is not None and not known(revision):
        return
    config = _config()
    config.attributes["connection"] = connection
    run_upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
