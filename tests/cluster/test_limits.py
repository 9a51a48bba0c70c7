"""Ten times more than is allowed, at two instances at once: limits count together, and what is accepted ends right."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.cluster.instances import Cluster, running
from tests.services.processes import Bench

QUOTA = 12
NUMBERS = {"assistant_id": "numbers", "input": {"count": 60}}
ALL_SAID = {"log": [], "count": 60}
STAY = {"assistant_id": "stay_forever", "input": {}}
QUOTAS = {
    "waiting": ({"FAST_GRAPH_MAX_PENDING_RUNS": str(QUOTA)}, ["--no-worker"]),
    "caller": ({"FAST_GRAPH_MAX_RUNS_PER_CALLER": str(QUOTA)}, []),
}


@pytest.fixture(params=QUOTAS)
def two(request: pytest.FixtureRequest, bench: Bench, environment: dict[str, str]) -> Iterator[Cluster]:
    limits, options = QUOTAS[request.param]
    with running(bench, {**environment, **limits}, options, options) as cluster:
        yield cluster


async def flood(client: httpx.AsyncClient, cluster: Cluster, body: Mapping[str, Any], times: int) -> list[Any]:
    """The answers to as many creations at once, at each instance in turn."""
    urls = cluster.urls
    posts = (client.post(f"{urls[number % len(urls)]}/runs", json=body) for number in range(times))
    return await asyncio.gather(*posts)


def assert_documented(refused: httpx.Response) -> None:
    assert refused.status_code == 429
    assert isinstance(refused.json()["detail"], str)
    assert int(refused.headers["retry-after"]) >= 1


async def test_a_quota_holds_across_instances(client: httpx.AsyncClient, two: Cluster) -> None:
    answers = await flood(client, two, STAY, 10 * QUOTA)
    accepted = [answer.json() for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer.status_code != 200:
            assert_documented(answer)
    assert len(accepted) == QUOTA
    statuses = [(await client.get(f"{two.urls[0]}/runs/{run['run_id']}")).json()["status"] for run in accepted]
    assert set(statuses) <= {"pending", "running"}
    for run in accepted:
        assert (await client.post(f"{two.urls[1]}/runs/{run['run_id']}/cancel")).status_code == 202
    while (answer := await client.post(f"{two.urls[0]}/runs", json=STAY)).status_code == 429:
        await client.get(f"{two.urls[0]}/ok")
    assert answer.status_code == 200


async def test_what_is_accepted_beside_a_flood_ends_right(
    client: httpx.AsyncClient, bench: Bench, environment: dict[str, str]
) -> None:
    limits = {"FAST_GRAPH_MAX_RUNS_PER_GRAPH": str(QUOTA), "FAST_GRAPH_MAX_RUNS_PER_CALLER": str(2 * QUOTA)}
    with running(bench, {**environment, **limits}, [], []) as cluster:
        answers = await flood(client, cluster, {**NUMBERS, "on_completion": "keep"}, 10 * QUOTA)
        runs = [answer.json() for answer in answers if answer.status_code == 200]
        assert Counter(answer.status_code for answer in answers) == {200: len(runs), 429: 10 * QUOTA - len(runs)}
        assert len(runs) >= QUOTA
        joins = await asyncio.gather(*(client.get(f"{cluster.urls[0]}/runs/{run['run_id']}/join") for run in runs))
        assert [join.json() for join in joins] == [ALL_SAID] * len(runs)
        assert (await client.post(f"{cluster.urls[1]}/runs/wait", json=NUMBERS)).json() == ALL_SAID


async def test_a_rate_holds_across_instances(
    client: httpx.AsyncClient, bench: Bench, environment: dict[str, str]
) -> None:
    with running(bench, {**environment, "FAST_GRAPH_RATE_LIMIT": "50/hour"}, [], []) as cluster:
        first, second = cluster.urls
        answers = await asyncio.gather(*(client.get(f"{(first, second)[number % 2]}/info") for number in range(500)))
        assert Counter(answer.status_code for answer in answers) == {200: 50, 429: 450}
        for answer in answers:
            if answer.status_code == 429:
                assert_documented(answer)
        assert (await client.get(f"{first}/ok")).status_code == 200
