"""The fault wrappers do what they say, and nothing else: behind harmless ones every promise still holds."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fast_graph import testing
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.model.errors import NotFoundError
from fast_graph.model.records import EVERYTHING
from fast_graph.storage.backend import Stores
from fast_graph.storage.signals import CancelRequested, RunsReady, Signal
from fast_graph.testing.rows import add_run, add_thread, new_id, new_thread, run_of

PORTS = ("assistants", "threads", "runs", "queue", "streams", "signals")


@pytest.fixture
def clock() -> testing.OwnedClock:
    return testing.OwnedClock()


@pytest.fixture
async def stores(clock: testing.OwnedClock) -> AsyncIterator[Stores]:
    async with MemoryBackend(clock=clock).connect() as sound:
        slow = testing.Latency(lambda call: asyncio.sleep(0))
        yield testing.with_parts(sound, **{name: testing.faulty(getattr(sound, name), slow) for name in PORTS})


class TestSlowAssistants(testing.AssistantStoreConformance): ...


class TestSlowThreads(testing.ThreadStoreConformance): ...


class TestSlowRuns(testing.RunStoreConformance): ...


class TestSlowQueue(testing.RunQueueConformance): ...


class TestSlowStreams(testing.StreamLogConformance): ...


class TestSlowSignals(testing.SignalsConformance): ...


async def test_a_call_waits_until_the_gate_opens(stores: Stores, clock: testing.OwnedClock) -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def wait(call: str) -> None:
        assert call == "create"
        asked.set()
        await gate.wait()

    thread = new_thread(clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(testing.faulty(stores.threads, testing.Latency(wait)).create(thread))
        await asked.wait()
        with pytest.raises(NotFoundError):
            await stores.threads.get(thread.thread_id, scope=EVERYTHING)
        gate.set()
    await stores.threads.get(thread.thread_id, scope=EVERYTHING)


async def test_a_crash_before_the_call_writes_nothing(stores: Stores, clock: testing.OwnedClock) -> None:
    run = await add_run(stores, clock)
    crash = testing.Crash(at="request_cancel", on=2, times=2)
    runs = testing.faulty(stores.runs, crash)
    await runs.request_cancel([new_id()], "interrupt", scope=EVERYTHING)
    assert await runs.get(run.run_id, thread_id=None, scope=EVERYTHING) == run
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await runs.request_cancel([run.run_id], "interrupt", scope=EVERYTHING)
    assert (await run_of(stores, run)).status == "pending"
    assert len(await runs.request_cancel([run.run_id], "interrupt", scope=EVERYTHING)) == 1
    assert crash.calls == 4


async def test_a_crash_after_the_call_leaves_what_was_written(stores: Stores, clock: testing.OwnedClock) -> None:
    run = await add_run(stores, clock)
    runs = testing.faulty(stores.runs, testing.Crash(moment="after", error=OSError("cut off")))
    with pytest.raises(OSError, match="cut off"):
        await runs.request_cancel([run.run_id], "interrupt", scope=EVERYTHING)
    assert (await run_of(stores, run)).status == "interrupted"


async def test_what_a_port_opens_can_fail_to_open(stores: Stores, clock: testing.OwnedClock) -> None:
    thread = await add_thread(stores, clock)
    threads = testing.faulty(stores.threads, testing.Crash(at="hold", moment="after"))
    with pytest.raises(ConnectionError):
        async with threads.hold(thread.thread_id, scope=EVERYTHING):
            pass
    async with threads.hold(thread.thread_id, scope=EVERYTHING):
        pass


async def test_lost_signals_are_remembered(stores: Stores) -> None:
    heard: list[Signal] = []
    lossy = testing.LossySignals(stores.signals, keep=lambda signal: isinstance(signal, RunsReady))
    with lossy.listen(heard.append):
        await lossy.send(CancelRequested(["run-1"]))
        await lossy.send(RunsReady())
    assert (heard, lossy.lost) == ([RunsReady()], [CancelRequested(["run-1"])])


async def test_altered_stores_open_and_close_as_the_sound_ones(clock: testing.OwnedClock) -> None:
    sound = MemoryBackend(clock=clock).connect()
    async with testing.with_parts(sound, signals=testing.LossySignals(sound.signals)) as altered:
        assert altered.queue is sound.queue
        assert isinstance(altered.signals, testing.LossySignals)
