"""Ten times more than is allowed, at a server process on the memory backend, which stays well."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from fast_graph import Settings
from tests.cluster.instances import CLI
from tests.integration.serving import client_of
from tests.services.processes import LOCAL, Bench, Server, accepts, free_port

TOKENS = {"assistant_id": "tokens", "input": {"count": 3}}
FOREVER = {"assistant_id": "forever", "input": {}, "on_disconnect": "cancel"}
DONE = {"log": ["said", "done"], "count": 3}


def alone(bench: Bench, **limits: object) -> Server:
    """``fast-graph serve`` on the memory backend, not started yet."""
    port = free_port()
    ours = [str(field.validation_alias or f"FAST_GRAPH_{one.upper()}") for one, field in Settings.model_fields.items()]
    others = {name: value for name, value in os.environ.items() if name not in ours}
    chosen = {f"FAST_GRAPH_{name.upper()}": str(value) for name, value in limits.items()}
    return Server(
        bench=bench,
        place=bench.place("limited"),
        port=port,
        url=f"http://{LOCAL}:{port}",
        command=[*CLI, "serve", "tests.integration.serve:app", "--port", str(port)],
        ready=lambda: accepts(port),
        environment={**others, **chosen},
    )


@pytest.fixture(scope="module")
def server(bench: Bench) -> Iterator[Server]:
    limits = {"max_body_bytes": 100_000, "max_streams_per_caller": 30, "max_pending_runs": 20, "worker_slots": 60}
    with alone(bench, **limits) as server:
        yield server


async def healthy(client: httpx.AsyncClient) -> None:
    """Fails unless the server recovers as soon as it has got rid of what was too much."""
    assert (await client.get("/ok")).status_code == 200
    while (answer := await client.post("/runs/wait", json=TOKENS)).status_code == 429:
        await client.get("/ok")
    assert answer.json() == DONE


def assert_documented(answers: list[httpx.Response], status: int) -> None:
    for answer in answers:
        assert answer.status_code == status
        assert isinstance(answer.json()["detail"], str)
        assert status != 429 or int(answer.headers["retry-after"]) >= 1


async def test_bodies_ten_times_too_large(server: Server) -> None:
    async with client_of(server.port) as client:
        body = b'{"assistant_id": "tokens", "input": "' + b"x" * 1_000_000 + b'"}'

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 10_000):
                yield body[start : start + 10_000]

        announced = [client.post("/runs", content=body) for _ in range(20)]
        counted = [client.post("/runs", content=pieces()) for _ in range(20)]
        assert_documented(list(await asyncio.gather(*announced, *counted)), 413)
        assert (await client.post("/threads/count", json={})).json() == 0
        await healthy(client)


async def test_streams_ten_times_too_many(server: Server) -> None:
    async with client_of(server.port) as client, asyncio.TaskGroup() as group:
        asked = [client.build_request("POST", "/runs/stream", json=FOREVER) for _ in range(300)]
        answers = await asyncio.gather(*(client.send(one, stream=True) for one in asked))
        refused = [answer for answer in answers if answer.status_code != 200]
        await asyncio.gather(*(answer.aread() for answer in refused))
        assert_documented(refused, 429)
        assert len(answers) - len(refused) <= 30
        assert (await client.get("/ok")).status_code == 200
        for answer in answers:
            group.create_task(answer.aclose())
    async with client_of(server.port) as client:
        await healthy(client)


async def test_runs_ten_times_too_many(server: Server) -> None:
    async with client_of(server.port) as client:
        answers = await asyncio.gather(*(client.post("/runs", json=FOREVER) for _ in range(600)))
        accepted = [answer.json()["run_id"] for answer in answers if answer.status_code == 200]
        assert_documented([answer for answer in answers if answer.status_code != 200], 429)
        assert 20 <= len(accepted) <= 60 + 20
        found = [await client.get(f"/runs/{run_id}") for run_id in accepted]
        assert Counter(one.json()["status"] for one in found).keys() <= {"pending", "running"}
        assert (await client.post("/runs/cancel", json={"status": "all"})).status_code == 204
        await healthy(client)
