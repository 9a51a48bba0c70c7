"""Proof that the conformance classes notice: each mutant breaks the promise it should, each promise has one."""

import asyncio
from functools import cache

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from fast_graph import testing
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.memory.ledger import Bounds
from fast_graph.storage.backend import Stores
from tests.conformance import mutants
from tests.conformance.mutants import Mutant

BOUNDS = Bounds(threads=30, pending_runs=20, stream_bytes=2000)
PATIENCE = 0.05
"""Seconds that a test waits for what a mutant loses; the sound reference is never slow."""


class Threads(testing.ThreadStoreConformance):
    most_threads = BOUNDS.threads


class Runs(testing.RunStoreConformance):
    most_pending = BOUNDS.pending_runs


class Streams(testing.StreamLogConformance):
    log_bytes, log_ttl, patience = BOUNDS.stream_bytes, BOUNDS.stream_ttl, PATIENCE


class Signals(testing.SignalsConformance):
    patience = PATIENCE


class Machine(testing.RunQueueMachine):
    @staticmethod
    def connect(clock: testing.OwnedClock) -> Stores:
        return MemoryBackend(clock=clock).connect()


PORTS: dict[type, list[Mutant]] = {
    testing.AssistantStoreConformance: mutants.ASSISTANTS,
    Threads: mutants.THREADS,
    Runs: mutants.RUNS,
    testing.RunQueueConformance: mutants.QUEUE,
    Streams: mutants.STREAMS,
    Signals: mutants.SIGNALS,
    testing.ItemStoreConformance: mutants.ITEMS,
    testing.CheckpointerConformance: mutants.CHECKPOINTS,
}
CASES = [
    pytest.param(promises, mutant, id=f"{promises.__name__}: {mutant.title}")
    for promises, found in PORTS.items()
    for mutant in found
]
FOR_THE_MACHINE = [
    mutant for mutant in (*mutants.QUEUE, *mutants.RUNS, *mutants.THREADS) if mutant.title in mutants.MACHINE_NOTICES
]


def names(promises: type) -> list[str]:
    return [name for name in dir(promises) if name.startswith("test_")]


async def keep(promises: type, name: str) -> None:
    clock = testing.OwnedClock()
    given = {"clock": clock} if "clock" in getattr(promises, name).__annotations__ else {}
    async with asyncio.timeout(PATIENCE * 40), MemoryBackend(clock=clock, bounds=BOUNDS).connect() as stores:
        await getattr(promises(), name)(stores=stores, **given)


def is_kept(promises: type, name: str) -> bool:
    try:
        asyncio.run(keep(promises, name))
    except (Exception, BaseExceptionGroup, pytest.fail.Exception):  # noqa: BLE001 - however it fails
        return False
    return True


@cache
def broken_by(mutant: Mutant, promises: type) -> frozenset[str]:
    with mutant.applied():
        return frozenset(name for name in names(promises) if not is_kept(promises, name))


@pytest.mark.parametrize("promises", PORTS, ids=lambda promises: promises.__name__)
def test_the_reference_keeps_every_promise(promises: type) -> None:
    assert [name for name in names(promises) if not is_kept(promises, name)] == []


@pytest.mark.parametrize(("promises", "mutant"), CASES)
def test_a_mutant_breaks_its_promise(promises: type, mutant: Mutant) -> None:
    assert mutant.breaks in broken_by(mutant, promises)


@pytest.mark.parametrize("promises", PORTS, ids=lambda promises: promises.__name__)
def test_every_promise_is_broken_by_some_mutant(promises: type) -> None:
    broken = {name for mutant in PORTS[promises] for name in broken_by(mutant, promises)}
    assert sorted(set(names(promises)) - broken) == []


@pytest.mark.parametrize("mutant", FOR_THE_MACHINE, ids=lambda mutant: mutant.title)
def test_the_state_machine_notices(mutant: Mutant) -> None:
    search = settings(
        max_examples=200,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    with mutant.applied(), pytest.raises((Exception, ExceptionGroup, pytest.fail.Exception)):
        run_state_machine_as_test(Machine, settings=search)
