"""Whose share of what is in flight a run is."""

import sqlalchemy as sa
from alembic import op

from fast_graph.backends.sql.types import Id

revision = "0002"
down_revision = "0001"

SHARES = {"caller": "fast_graph_runs_of_caller", "graph_id": "fast_graph_runs_of_graph"}


def upgrade() -> None:
    """Add the columns, and indexes of the rows that are counted."""
    for column, index in SHARES.items():
        op.add_column("fast_graph_runs", sa.Column(column, Id))
        counted = sa.text(f"(status = 'pending' OR status = 'running') AND {column} IS NOT NULL")
        op.create_index(index, "fast_graph_runs", [column], postgresql_where=counted, sqlite_where=counted)
