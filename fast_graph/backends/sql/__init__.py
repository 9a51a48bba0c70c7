"""Rows in a SQL database: what the SQLite and the PostgreSQL backends share."""
