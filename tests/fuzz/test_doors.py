"""No request, however odd, gets an error of the server's own, an answer that never comes, or a look inside.

Set FUZZ_TIMES to ask so many times as much.
"""

import asyncio
import gc
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import orjson
import psutil
import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from fast_graph import fastGraph
from tests.fuzz.asking import Attempt, ask, check
from tests.fuzz.graphs import GRAPHS
from tests.fuzz.inventing import Inventor, operations
from tests.integration.serving import settings

DELAY = re.compile(rb'"after_seconds": ?[0-9.e+]+')
MEBIBYTE = 1024 * 1024
TIMES = float(os.environ.get("FUZZ_TIMES", "1"))
PER_SEED = 50
KEPT = ["one", "two"]
"""Threads that exist."""


class Target:
    """A running app, and how often it was asked."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        self.app = app
        self.statuses: Counter[int] = Counter()
        self._runner = runner
        self._operations = operations(app.openapi())

    def ask(self, *attempts: Attempt) -> None:
        self._runner.run(self._ask(attempts))

    async def _ask(self, attempts: tuple[Attempt, ...]) -> None:
        for attempt in attempts:
            answer = await ask(self.app, attempt)
            self.statuses[answer.status] += 1
            check(attempt, answer)

    def make_up(self, seed: int) -> None:
        """Requests that follow from the seed, on threads that exist."""
        inventor = Inventor(random.Random(seed), self._operations, [*KEPT, str(uuid4())])
        threads = [self._post("/threads", thread_id=name, metadata={"graph_id": "tiny"}) for name in KEPT]
        self.ask(*threads, *(inventor.attempt() for _ in range(PER_SEED)))
        self.clear()

    def clear(self) -> None:
        """Forget what the requests left."""
        found = self._runner.run(ask(self.app, self._post("/threads/search", limit=1000, select=["thread_id"])))
        ids = [thread["thread_id"] for thread in orjson.loads(found.body)]
        self._runner.run(ask(self.app, self._post("/threads/prune", thread_ids=ids)))

    def _post(self, path: str, **body: Any) -> Attempt:
        headers = [(b"content-type", b"application/json")]
        return Attempt(method="POST", target=path.encode(), body=orjson.dumps(body), headers=headers)

    @property
    def asked(self) -> int:
        return self.statuses.total()


@contextmanager
def targeted(**changes: Any) -> Iterator[Target]:
    app = fastGraph(GRAPHS, settings=settings(**changes))
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        try:
            yield Target(app, runner)
        finally:
            runner.run(lifespan.__aexit__(None, None, None))


def quick(examples: float) -> hypothesis_settings:
    """So many examples, whatever time they take."""
    return hypothesis_settings(
        max_examples=max(1, int(examples * TIMES)),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def rss() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_made_up_requests_get_sensible_answers_and_leave_nothing() -> None:
    with targeted() as target:
        for seed in range(60):
            target.make_up(seed)
        warm = rss()

        @quick(330)
        @given(st.integers(1000, 2**63))
        def fuzz(seed: int) -> None:
            target.make_up(seed)

        fuzz()
        assert target.asked >= 20_000 * min(TIMES, 1)
        assert rss() - warm < 64 * MEBIBYTE
        assert target.statuses[200] > target.asked / 10, "they come far enough"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_requests_after_the_description_get_sensible_answers() -> None:
    with targeted() as target:
        schema = schemathesis.openapi.from_dict(target.app.openapi())
        for operation in [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]:

            @quick(12)
            @given(operation.as_strategy())
            def fuzz(case: schemathesis.Case[Any]) -> None:
                target.ask(as_attempt(case))

            fuzz()
            target.clear()
        assert target.asked >= 300 * min(TIMES, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_made_up_requests_get_sensible_answers_from_postgresql_and_redis(postgres_url: str, redis_url: str) -> None:
    with targeted(postgres_url=postgres_url, redis_url=redis_url) as target:

        @quick(25)
        @given(st.integers(1000, 2**63))
        def fuzz(seed: int) -> None:
            target.make_up(seed)

        fuzz()


def as_attempt(case: schemathesis.Case[Any]) -> Attempt:
    """The case as it would be sent."""
    sent = requests.Request(**case.as_transport_kwargs(base_url="http://server")).prepare()
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    body = DELAY.sub(
        b'"after_seconds":0', body if isinstance(body, bytes) else b""
    )  # a run that starts later is waited for
    target = (sent.path_url or "/").encode()
    headers = [(name.lower().encode(), _encoded(value)) for name, value in sent.headers.items()]
    return Attempt(method=case.method, target=target, body=body, headers=headers)


def _encoded(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1", "replace")
