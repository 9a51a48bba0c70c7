"""Checkpoints, items and streams in a SQLite file keep every promise of their ports."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from fast_graph import testing
from fast_graph.backends.sqlite.checkpoints import SqliteCheckpointer
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.backends.sqlite.items import SqliteStore
from fast_graph.backends.sqlite.streams import SqliteStreams, StreamBounds
from fast_graph.storage.backend import Stores
from tests.unit.backends.sqlite.files import with_runs

BOUNDS = StreamBounds(stream_bytes=2000)


@dataclass
class Parts:
    """The stores of a backend that these tests speak to."""

    checkpointer: SqliteCheckpointer
    store: SqliteStore
    streams: SqliteStreams


@pytest.fixture
def clock() -> testing.OwnedClock:
    return testing.OwnedClock()


@pytest.fixture
async def stores(clock: testing.OwnedClock, tmp_path: Path) -> AsyncIterator[Stores]:
    async with SqliteFile(with_runs(tmp_path / "fast_graph.db")) as file:
        parts = Parts(SqliteCheckpointer(file), SqliteStore(file, clock), SqliteStreams(file, clock, BOUNDS))
        for part in (parts.checkpointer, parts.store, parts.streams):
            await part.setup()
        yield cast(Stores, parts)


class TestStreams(testing.StreamLogConformance):
    log_bytes, log_ttl = BOUNDS.stream_bytes, BOUNDS.stream_ttl


class TestItems(testing.ItemStoreConformance): ...


class TestCheckpoints(testing.CheckpointerConformance): ...


async def test_langgraphs_own_suite_finds_nothing() -> None:
    @checkpointer_test(name="sqlite")
    async def saver() -> AsyncIterator[SqliteCheckpointer]:
        with TemporaryDirectory() as folder:
            async with SqliteFile(with_runs(Path(folder, "fast_graph.db"))) as file:
                checkpointer = SqliteCheckpointer(file)
                await checkpointer.setup()
                yield checkpointer

    report = (await validate(saver)).to_dict()["results"]
    assert [name for name, result in report.items() if not result["passed"]] == []
    assert len(report) == 8
