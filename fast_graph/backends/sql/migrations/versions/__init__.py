"""Alembic migrations of the rows."""
