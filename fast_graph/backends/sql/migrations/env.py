"""Run by Alembic for each migration: on the connection that ``migrating.upgrade`` passes."""

from alembic import context

from fast_graph.backends.sql.migrating import VERSION_TABLE
from fast_graph.backends.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
