"""What a SQLite file promises to those who keep things in it, and to others who write to it."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.model.errors import UnavailableError
from tests.unit.backends.sqlite.files import rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fast_graph.db"


@pytest.fixture
async def file(path: Path) -> AsyncIterator[SqliteFile]:
    async with SqliteFile(path) as file:
        await file.write(prepare)
        yield file


def prepare(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE said (word TEXT)")


def say(connection: sqlite3.Connection, *, word: str) -> int:
    connection.execute("INSERT INTO said VALUES (?)", (word,))
    return len(said(connection))


def said(connection: sqlite3.Connection) -> list[str]:
    return [word for (word,) in connection.execute("SELECT word FROM said ORDER BY rowid")]


class Held:
    """Work that has written, and goes on when the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()

    def __call__(self, connection: sqlite3.Connection) -> str:
        say(connection, word="held")
        self.begun.set()
        assert self.released.wait(30)
        return "done"


async def begun(held: Held) -> None:
    assert await asyncio.to_thread(held.begun.wait, 30)


async def test_what_is_written_is_there_for_readers_at_once(file: SqliteFile) -> None:
    for word in "abc":
        await file.write(partial(say, word=word))
        assert (await file.read(said))[-1] == word


async def test_work_that_raises_changes_nothing(file: SqliteFile, path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        say(connection, word="a")
        raise LookupError("no")

    with pytest.raises(LookupError):
        await file.write(fail)
    assert rows(path, "SELECT * FROM said") == []
    assert await file.write(partial(say, word="b")) == 1


async def test_a_reader_cannot_write(file: SqliteFile) -> None:
    with pytest.raises(UnavailableError):
        await file.read(partial(say, word="a"))


async def test_a_reader_is_not_kept_waiting_by_a_writer(file: SqliteFile) -> None:
    held = Held()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(file.write(held))
        await begun(held)
        assert await file.read(said) == []
        held.released.set()
    assert await file.read(said) == ["held"]


async def test_whoever_is_cancelled_keeps_nobody_from_writing(file: SqliteFile, path: Path) -> None:
    held, told = Held(), asyncio.Queue[str]()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(file.write(held, then=told.put_nowait))
        await begun(held)
        writing.cancel()
    held.released.set()
    assert await asyncio.wait_for(told.get(), 30) == "done"
    with closing(sqlite3.connect(path, timeout=0)) as other, other:
        other.execute("INSERT INTO said VALUES ('other')")
    assert await file.read(said) == ["held", "other"]


async def test_news_of_a_write_comes_before_its_writer_goes_on(file: SqliteFile) -> None:
    told: list[int] = []
    for number in (1, 2):
        assert await file.write(partial(say, word="a"), then=told.append) == number
        assert told[-1] == number


async def test_there_is_no_news_of_a_write_that_failed(file: SqliteFile) -> None:
    told: list[object] = []
    with pytest.raises(sqlite3.OperationalError):
        await file.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"), then=told.append)
    await file.write(partial(say, word="a"))
    assert told == []


async def test_a_file_that_others_do_not_let_go_of_is_unavailable(file: SqliteFile, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with SqliteFile(path, patience=0.05) as impatient:
            with pytest.raises(UnavailableError):
                await impatient.write(partial(say, word="a"))
            other.execute("ROLLBACK")
            assert await impatient.write(partial(say, word="b")) == 1


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        async with SqliteFile(tmp_path / "nowhere" / "fast_graph.db"):
            pass


async def test_a_file_is_used_only_while_it_is_open(path: Path) -> None:
    file = SqliteFile(path)
    with pytest.raises(UnavailableError):
        await file.read(lambda connection: None)
    async with file:
        await file.read(lambda connection: None)
    with pytest.raises(UnavailableError):
        await file.read(lambda connection: None)


async def test_closing_waits_for_what_is_being_written(path: Path) -> None:
    async with SqliteFile(path) as file:
        await file.write(prepare)
        held = Held()
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(file.write(held))
            await begun(held)
            writing.cancel()
        held.released.set()
    assert rows(path, "SELECT * FROM said") == [("held",)]
