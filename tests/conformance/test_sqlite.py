"""The SQLite backend keeps every promise of the ports. Its other parts are in ``test_sqlite_parts``."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, Self

import pytest
from sqlalchemy import delete

from fast_graph import testing
from fast_graph.backends.sql.tables import runs, threads
from fast_graph.backends.sqlite.backend import SqliteBackend, SqliteStores
from fast_graph.storage.backend import Stores


@pytest.fixture
def clock() -> testing.OwnedClock:
    return testing.OwnedClock()


@pytest.fixture
async def stores(clock: testing.OwnedClock, tmp_path: Path) -> AsyncIterator[Stores]:
    async with SqliteBackend(path=tmp_path / "graphs.db", clock=clock).connect() as stores:
        yield stores


class TestAssistants(testing.AssistantStoreConformance): ...


class TestThreads(testing.ThreadStoreConformance): ...


class TestRuns(testing.RunStoreConformance): ...


class TestQueue(testing.RunQueueConformance):
    asks_claimants = False


class TestSignals(testing.SignalsConformance): ...


class Emptied(SqliteStores):
    """The same file for every example of the state machine, which wants it empty."""

    path: ClassVar[Path]

    def __init__(self, clock: testing.OwnedClock) -> None:
        super().__init__(SqliteBackend(path=self.path, clock=clock))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        async with self._engine.begin() as connection:
            for table in (runs, threads):
                await connection.execute(delete(table))
        return self


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    Emptied.path = tmp_path_factory.mktemp("machine") / "graphs.db"


@pytest.mark.slow
@pytest.mark.usefixtures("one_file")
class TestQueueMachine(testing.run_queue_machine(Emptied, examples=40)):  # type: ignore[misc] # the class is made by the call
    ...
