"""SQLite files with as much of a table of runs as fences look at."""

import sqlite3
from contextlib import closing
from pathlib import Path

RUNS = "CREATE TABLE IF NOT EXISTS fast_graph_runs (run_id TEXT PRIMARY KEY, token INTEGER, status TEXT)"
PUT = "INSERT OR REPLACE INTO fast_graph_runs VALUES (?, ?, ?)"


def with_runs(path: Path, *runs: tuple[str, int, str]) -> Path:
    """The file with these runs: their ids, tokens and statuses."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(RUNS)
        connection.executemany(PUT, runs)
    return path


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    """What is in the file, seen by somebody else."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()
