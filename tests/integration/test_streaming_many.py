import asyncio

import pytest

from tests.integration.serving import Site, serving, streamed

CLIENTS = 200
TOKENS = 20


async def test_many_clients_at_once_each_get_all_their_events_in_order() -> None:
    async with serving() as site, asyncio.TaskGroup() as group:
        for client in range(CLIENTS):
            group.create_task(_follows_a_run(site, client))


async def _follows_a_run(site: Site, client: int) -> None:
    body = {
        "assistant_id": "tokens",
        "input": {"count": TOKENS, "value": client},
        "stream_mode": ["values", "custom"],
        "stream_resumable": True,
        "if_not_exists": "create",
    }
    events = await streamed(site.client, f"/threads/{client}/runs/stream", body)
    assert [event.name for event in events] == ["metadata", "values", *["custom"] * TOKENS, "values", "values"]
    assert [event.data["index"] for event in events if event.name == "custom"] == list(range(TOKENS))
    first, said, done = [event.data for event in events if event.name == "values"]
    assert first == {"log": [], "count": TOKENS, "value": client}
    assert said == {**first, "log": ["said"]}
    assert done == {**first, "log": ["said", "done"]}
    numbers = [int((event.id or "").partition("-")[2]) for event in events]
    assert numbers == list(range(1, len(events) + 1))


@pytest.mark.slow
async def test_a_thousand_idle_readers_see_the_end_of_their_run() -> None:
    readers = 1000
    async with serving() as site:
        run = (await site.client.post("/runs", json={"assistant_id": "forever", "input": {}})).json()
        joined = asyncio.Semaphore(0)

        async def join() -> str:
            async with site.client.stream("GET", f"/runs/{run['run_id']}/stream") as response:
                joined.release()
                return (await response.aread()).decode()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(join()) for _ in range(readers)]
            for _ in range(readers):
                await joined.acquire()
            await site.healthy()
            await site.client.post(f"/runs/{run['run_id']}/cancel")
        assert len(tasks) == readers
        assert all("event: error" not in task.result() for task in tasks)
        await site.healthy()
