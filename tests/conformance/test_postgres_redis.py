"""The backend of PostgreSQL and Redis keeps every promise of the ports.

Its checkpoints and items are in ``test_postgres_checkpoints``, its streams and signals in ``test_redis`` as well.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self
from uuid import uuid4

import pytest
from sqlalchemy import text

from fast_graph import testing
from fast_graph.backends.postgres.direct import Direct, Statement
from fast_graph.backends.postgres.engine import PostgresOptions
from fast_graph.backends.postgres.runs import PostgresRuns
from fast_graph.backends.postgres_redis import PostgresRedisBackend, PostgresRedisStores
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.redis.streams import StreamBounds
from fast_graph.backends.standby import Standby
from fast_graph.model.errors import InvalidError, NotFoundError
from fast_graph.storage.backend import Stores
from fast_graph.testing.queue import Ready
from fast_graph.testing.rows import LEASE, add_run, add_thread, new_outcome, new_run, new_thread
from tests.services.postgres import scratch_database

LOG_BYTES = 2000
TABLES = (
    "fast_graph_assistants, fast_graph_assistant_versions, fast_graph_threads, fast_graph_runs, store, "
    "checkpoints, checkpoint_blobs, checkpoint_writes"
)


class Emptied(PostgresRedisStores):
    """The same database for every test, which wants it empty."""

    url: ClassVar[str]
    redis_url: ClassVar[str]
    migrated: ClassVar[bool]

    def __init__(self, clock: testing.OwnedClock) -> None:
        super().__init__(
            PostgresRedisBackend(
                postgres=PostgresOptions(url=self.url),
                redis=RedisOptions(url=self.redis_url),
                streams=StreamBounds(stream_bytes=LOG_BYTES),
                migrate=not self.migrated,
                clock=clock,
            )
        )

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        Emptied.migrated = True
        async with self._engine.begin() as connection:
            await connection.execute(text(f"TRUNCATE {TABLES}"))
        return self


@pytest.fixture(scope="module")
def one_database(session_postgres: str) -> Iterator[None]:
    with scratch_database(session_postgres) as Emptied.url:
        Emptied.migrated = False
        yield


@pytest.fixture
def servers(one_database: None, redis_url: str) -> None:
    Emptied.redis_url = redis_url


@pytest.fixture
def clock() -> testing.OwnedClock:
    return testing.OwnedClock()


@pytest.fixture
async def stores(clock: testing.OwnedClock, servers: None) -> AsyncIterator[Stores]:
    async with Emptied(clock) as stores:
        yield stores


class TestAssistants(testing.AssistantStoreConformance): ...


class TestThreads(testing.ThreadStoreConformance): ...


class TestRuns(testing.RunStoreConformance): ...


class TestQueue(testing.RunQueueConformance): ...


class TestStreams(testing.StreamLogConformance):
    log_bytes = LOG_BYTES


class TestSignals(testing.SignalsConformance): ...


class TestItems(testing.ItemStoreConformance): ...


class TestCheckpoints(testing.CheckpointerConformance): ...


@pytest.mark.slow
@pytest.mark.usefixtures("servers")
class TestQueueMachine(testing.run_queue_machine(Emptied, examples=40)):  # type: ignore[misc] # the class is made by the call
    ...


async def test_no_two_connections_claim_the_same_run_or_two_of_a_thread(
    stores: PostgresRedisStores, clock: testing.OwnedClock
) -> None:
    """Many claim at once, each on a connection of its own, until nothing is left."""
    threads = [await add_thread(stores, clock) for _ in range(10)]
    created = [await add_run(stores, clock, thread.thread_id) for _ in range(5) for thread in threads]
    holders: dict[str, str] = {}
    order: dict[str, list[str]] = {thread.thread_id: [] for thread in threads}

    async def work(worker: str) -> None:
        while sum(map(len, order.values())) < len(created):
            for lease in await stores.queue.claim(worker, limit=2, lease_for=LEASE):
                run = lease.run
                assert holders.setdefault(run.thread_id, worker) is worker, "two runs at once on a thread"
                order[run.thread_id].append(run.run_id)
                await asyncio.sleep(0)
                del holders[run.thread_id]
                await stores.queue.finish(lease, new_outcome())

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(work(f"worker-{number}"))
    for thread in threads:
        assert order[thread.thread_id] == [run.run_id for run in created if run.thread_id == thread.thread_id]


class Deaf(Direct):
    """Hears no answer to what it executes first."""

    deaf = True

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        found = await super().fetch(statement, values)
        if self.deaf:
            self.deaf = False
            raise asyncio.CancelledError
        return found


async def test_a_run_whose_creation_broke_off_on_the_way_waits_to_be_claimed(
    stores: PostgresRedisStores, clock: testing.OwnedClock
) -> None:
    standby, ready = Standby(), Ready()
    run = new_run(clock, (await add_thread(stores, clock)).thread_id)
    async with Deaf(PostgresOptions(url=Emptied.url)) as direct:
        runs = PostgresRuns(stores._database, direct, standby, clock)  # noqa: SLF001 - the tables of these stores
        with standby.enlist(ready), pytest.raises(asyncio.CancelledError):
            await runs.create(run, create_thread=None, thread_config={}, scope={})
    assert (ready.slots, ready.leases) == (1, [])
    assert await stores.runs.get(run.run_id, thread_id=None, scope={}) == run
    [lease] = await stores.queue.claim("worker", limit=9, lease_for=LEASE)
    assert (lease.run.run_id, lease.run.attempt) == (run.run_id, 1)


@pytest.mark.parametrize("thread_id", ["a\0b", "".join(str(uuid4()) for _ in range(300))], ids=["NUL", "long"])
async def test_an_id_that_cannot_be_stored_is_refused(
    stores: PostgresRedisStores, clock: testing.OwnedClock, thread_id: str
) -> None:
    with pytest.raises(InvalidError):
        await stores.threads.create(new_thread(clock, thread_id=thread_id))
    run = new_run(clock, thread_id)
    with pytest.raises(InvalidError):
        await stores.runs.create(run, create_thread=new_thread(clock, thread_id=thread_id), thread_config={}, scope={})
    with pytest.raises((InvalidError, NotFoundError)):
        await stores.threads.get(thread_id, scope={"owner": "me"})
    with pytest.raises((InvalidError, NotFoundError)):
        await stores.threads.get(thread_id, scope={})


async def test_a_text_with_nul_characters_is_stored_with_a_mark_in_their_place(
    stores: PostgresRedisStores, clock: testing.OwnedClock
) -> None:
    thread = await add_thread(stores, clock, metadata={"text": "a\0b", "escaped": "\\u0000"})
    read = await stores.threads.get(thread.thread_id, scope={})
    assert read.metadata == {"text": "a\ufffdb", "escaped": "\\u0000"}
