"""Everything in one SQLite file, for one process."""
