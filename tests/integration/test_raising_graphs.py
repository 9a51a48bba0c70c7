from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.graphs import RAISED
from tests.integration.serving import Site, serving, streamed

STOPPED = {"interrupt", "drained"}
"""What LangGraph itself raises to stop a graph half-way: no failure."""


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


@pytest.mark.parametrize("graph", ["raising", "raising_in_thread"])
@pytest.mark.parametrize("how", RAISED)
async def test_whatever_a_node_raises_the_run_ends_and_the_thread_is_free(site: Site, graph: str, how: str) -> None:
    for where in ("first", "middle", "inner", "last"):
        path = f"/threads/{graph} {how} {where}".replace(" ", "-")
        body = {"assistant_id": graph, "input": {"how": how, "where": where}, "if_not_exists": "create"}
        events = await streamed(site.client, path + "/runs/stream", body)
        assert events[0].name == "metadata"
        assert events[-1].name == ("values" if how in STOPPED else "error")
        thread = (await site.client.get(path)).json()
        assert thread["status"] == ("interrupted" if how in STOPPED else "error")
        [run] = (await site.client.get(path + "/runs")).json()
        assert run["status"] == ("success" if how in STOPPED else "error")
    await site.healthy()
