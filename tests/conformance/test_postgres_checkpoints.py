"""Checkpoints and items in PostgreSQL keep every promise, LangGraph's of a checkpointer included."""

from collections.abc import AsyncIterator

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from fast_graph import testing
from fast_graph.backends.postgres.checkpoints import PostgresCheckpointer
from tests.unit.backends.postgres.kept import Kept, kept_in


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[Kept]:
    async with kept_in(postgres_url) as kept:
        yield kept


class TestItems(testing.ItemStoreConformance): ...


class TestCheckpoints(testing.CheckpointerConformance): ...


async def test_langgraphs_own_suite_finds_nothing(stores: Kept) -> None:
    @checkpointer_test(name="postgres")
    async def saver() -> AsyncIterator[PostgresCheckpointer]:
        yield stores.checkpointer

    report = (await validate(saver)).to_dict()["results"]
    assert [name for name, result in report.items() if not result["passed"]] == []
    assert len(report) == 8
