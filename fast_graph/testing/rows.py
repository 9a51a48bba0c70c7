"""Rows for tests: valid without being told anything, different where the test says so.

Every new row is a millisecond younger than the one before, so that "oldest first" has one answer.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson

from fast_graph.model.lifecycle import RunStatus, ThreadStatus
from fast_graph.model.quota import UNLIMITED, Quota
from fast_graph.model.records import EVERYTHING, Assistant, Created, Lease, Outcome, Run, Thread, ThreadState
from fast_graph.storage.backend import Stores
from fast_graph.testing.clock import OwnedClock

LEASE = timedelta(seconds=30)
WORKER = "worker-1"


def new_id() -> str:
    """An id that no other row has."""
    return str(uuid4())


def new_assistant(clock: OwnedClock, **changes: Any) -> Assistant:
    """An assistant that is not stored yet."""
    now = clock.advance(0.001)
    given = {"assistant_id": new_id(), "graph_id": "agent", "name": "Agent", "created_at": now}
    return Assistant(**{**given, "updated_at": now, **changes})


def new_thread(clock: OwnedClock, **changes: Any) -> Thread:
    """A thread that is not stored yet."""
    now = clock.advance(0.001)
    given = {"thread_id": new_id(), "created_at": now, "updated_at": now, "state_updated_at": now}
    return Thread(**{**given, **changes})


def new_run(clock: OwnedClock, thread_id: str, **changes: Any) -> Run:
    """A run that is not admitted yet."""
    now = clock.advance(0.001)
    given = {"run_id": new_id(), "thread_id": thread_id, "assistant_id": new_id(), "kwargs": b'{"input":{}}'}
    return Run(**{**given, "created_at": now, "updated_at": now, **changes})


def new_outcome(status: RunStatus = "success", thread_status: ThreadStatus = "idle", **changes: Any) -> Outcome:
    """How an execution may end: well, unless told otherwise."""
    return Outcome(status=status, thread_status=thread_status, **changes)


async def add_thread(stores: Stores, clock: OwnedClock, **changes: Any) -> Thread:
    """Store a new thread."""
    thread = new_thread(clock, **changes)
    await stores.threads.create(thread)
    return thread


async def admit(stores: Stores, run: Run, *, quota: Quota = UNLIMITED) -> Created:
    """Queue a run on a thread that exists."""
    return await stores.runs.create(run, create_thread=None, thread_config={}, scope=EVERYTHING, quota=quota)


async def add_run(stores: Stores, clock: OwnedClock, thread_id: str | None = None, **changes: Any) -> Run:
    """Queue a new run, on a new thread if none is named."""
    if thread_id is None:
        thread_id = (await add_thread(stores, clock)).thread_id
    return (await admit(stores, new_run(clock, thread_id, **changes))).run


async def take(stores: Stores, run: Run, *, worker: str = WORKER, lease_for: timedelta = LEASE) -> Lease:
    """Claim a run that can be claimed."""
    lease = await stores.queue.claim_run(run.run_id, worker, lease_for=lease_for)
    assert lease is not None, f"run {run.run_id} cannot be claimed"
    return lease


async def add_running(stores: Stores, clock: OwnedClock, thread_id: str | None = None, **changes: Any) -> Lease:
    """Queue a new run and claim it."""
    return await take(stores, await add_run(stores, clock, thread_id, **changes))


async def run_of(stores: Stores, run: Run) -> Run:
    """The run's row as it is now."""
    return await stores.runs.get(run.run_id, thread_id=None, scope=EVERYTHING)


async def thread_of(stores: Stores, run: Run) -> Thread:
    """The row of the run's thread as it is now."""
    return await stores.threads.get(run.thread_id, scope=EVERYTHING)


def shown(showing: Thread | ThreadState) -> tuple[object, object]:
    """The values, as objects, and the interrupts: a backend may write the JSON of values in its own way."""
    return showing.values and orjson.loads(showing.values), showing.interrupts
