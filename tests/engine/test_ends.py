"""The ways in which a run can end before its graph does."""

import asyncio
from typing import Any

import orjson
import pytest
from langgraph.graph import StateGraph
from langgraph.types import interrupt
from langgraph_sdk.runtime import ServerRuntime

from fast_graph import MemoryBackend
from fast_graph.auth.policy import ANONYMOUS
from fast_graph.model.errors import NotFoundError
from fast_graph.testing.faults import Latency, faulty
from tests.engine.scripted import (
    Count,
    Gate,
    House,
    State,
    Stubborn,
    chain,
    house,
    note,
    records,
    settled,
    told,
)

pytestmark = pytest.mark.timeout(10)


def errors_of(found: list[Any]) -> list[dict[str, str]]:
    return [orjson.loads(record.data) for record in found if record.name == "error"]


async def test_a_run_that_takes_too_long_times_out() -> None:
    gate = Gate()
    async with house(chain(a=note("a"), gate=gate), run_timeout=0.05) as server:
        feed = await server.start(stream_resumable=True)
        result = await told(feed)
        assert result["__error__"]["error"] == "TimeoutError"
        assert errors_of(await records(feed)) == [result["__error__"]]
        assert (await server.run(feed.run)).status == "timeout"
        thread = await server.thread()
        assert thread.status == "error"
        assert thread.error is not None
        assert orjson.loads(thread.values or b"") == {"log": ["a"]}


async def test_a_run_that_ends_in_time_does_not_time_out() -> None:
    async with house(chain(a=note("a")), run_timeout=5) as server:
        assert await server.wait() == {"log": ["a"]}


async def test_a_node_that_ignores_its_timeout_is_the_last_one() -> None:
    stubborn, after = Stubborn(), Count("after")
    async with house(chain(stubborn=stubborn, after=after), run_timeout=0.05) as server:
        async with await server.start() as feed:
            await stubborn.cancelled.wait()
            stubborn.opened.set()
            assert (await told(feed))["__error__"]["error"] == "TimeoutError"
        assert after.entered == 0


async def test_an_interrupted_run_keeps_what_it_did() -> None:
    gate = Gate()
    async with house(chain(a=note("a"), gate=gate, b=note("b"))) as server:
        run = await server.create()
        await gate.reached.wait()
        async with await server.join(run) as feed:
            await server.cancel(run)
            assert errors_of(await records(feed)) == []
        assert await server.log() == ["a"]
        thread = await server.thread()
        assert thread.status == "interrupted"
        assert thread.error is not None
        assert thread.error.error == "UserInterrupt"
        gate.opened.set()
        assert await server.wait(input=None) == {"log": ["a", "gate", "b"]}
        assert (await server.thread()).error is None


async def test_a_rolled_back_run_leaves_no_trace_and_takes_nothing_else_with_it() -> None:
    gate = Gate()
    async with house({"graph": chain(a=note("a")), "gate": chain(b=note("b"), gate=gate)}) as server:
        kept = await server.create()
        await server.result(kept)
        run = await server.create(graph="gate")
        await gate.reached.wait()
        assert await server.log() == ["a", "b"]
        async with await server.join(run) as feed:
            await server.cancel(run, "rollback")
            assert await told(feed) == {}
        assert [row.run_id for row in await server.runs()] == [kept.run_id]
        assert await server.log() == ["a"]
        thread = await server.thread()
        assert thread.status == "idle"
        assert orjson.loads(thread.values or b"") == {"log": ["a"]}


async def test_a_rollback_on_a_fresh_thread_leaves_it_empty() -> None:
    gate = Gate()
    async with house(chain(a=note("a"), gate=gate)) as server:
        async with await server.start() as feed:
            await gate.reached.wait()
            await server.cancel(feed.run, "rollback")
            await told(feed)
        thread = await server.thread()
        assert (thread.status, thread.values) == ("idle", None)


async def test_a_rollback_removes_what_the_run_wrote_whatever_its_metadata_says() -> None:
    gate = Gate()
    async with house(chain(a=note("a"), gate=gate)) as server:
        async with await server.start(metadata={"run_id": "mine", "thread_id": "mine"}) as feed:
            await gate.reached.wait()
            await server.cancel(feed.run, "rollback")
            await told(feed)
        assert await server.log() == []


async def test_a_rollback_overrides_an_interrupt_that_has_not_taken_effect() -> None:
    stubborn = Stubborn()
    async with house(chain(a=note("a"), stubborn=stubborn)) as server:
        async with await server.start() as feed:
            await stubborn.reached.wait()
            await server.stores.runs.request_cancel([feed.run.run_id], "interrupt", scope={})
            await server.cancel(feed.run, "rollback")
            await stubborn.cancelled.wait()
            stubborn.opened.set()
            await told(feed)
        assert await server.runs() == []
        assert await server.log() == []


async def test_a_rollback_that_comes_while_the_end_is_worked_out_is_carried_out() -> None:
    looking, seen = asyncio.Event(), asyncio.Event()

    async def fail(state: State) -> State:
        raise ValueError("no")

    async def make(runtime: ServerRuntime[None]) -> StateGraph[State]:
        if runtime.access_context == "threads.read" and not seen.is_set():
            looking.set()
            await seen.wait()
        return chain(a=note("a"), fail=fail)

    async with house(make) as server:
        async with await server.start() as feed:
            await looking.wait()
            await server.cancel(feed.run, "rollback")
            await settled()
            seen.set()
            await told(feed)
        assert await server.runs() == []
        assert await server.log() == []


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancellation_that_comes_while_the_end_is_written_down_is_too_late(action: str) -> None:
    writing, written = asyncio.Event(), asyncio.Event()

    async def wait(call: str) -> None:
        if call == "finish":
            writing.set()
            await written.wait()

    stores = MemoryBackend().connect()
    stores.queue = faulty(stores.queue, Latency(wait))
    async with house(chain(a=note("a")), stores=stores) as server:
        async with await server.start() as feed:
            await writing.wait()
            await server.cancel(feed.run, action)
            await settled()
            written.set()
            assert await told(feed) == {"log": ["a"]}
        assert (await server.run(feed.run)).status == "success"
        assert (await server.thread()).status == "idle"
        assert server.stores.ledger.wishes == {}


async def test_a_finished_run_cannot_be_cancelled() -> None:
    async with house(chain(a=note("a"))) as server:
        run = await server.create()
        await server.result(run)
        with pytest.raises(NotFoundError):
            await server.cancel(run)
        assert (await server.run(run)).status == "success"


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
@pytest.mark.parametrize("steps", range(25))
async def test_wherever_a_cancellation_hits_the_run_ends_and_the_thread_is_free(action: str, steps: int) -> None:
    async with house(chain(a=note("a"), b=note("b"))) as server:
        async with await server.start() as feed:
            for _ in range(steps):
                await asyncio.sleep(0)
            try:
                await server.cancel(feed.run, action)
            except NotFoundError:
                assert (await server.run(feed.run)).status == "success"
            await told(feed)
        assert (await server.thread()).status in ("idle", "interrupted")
        await server.ended(feed.run)
        assert {"claims", "wishes", "tokens", "inflight", "executions", "logs"}.isdisjoint(server.left())
        assert (await server.wait(input={"log": ["c"]}))["log"][-2:] == ["a", "b"]


async def test_a_graph_that_cancels_itself_has_failed() -> None:
    async def give_up(state: State) -> State:
        raise asyncio.CancelledError

    async with house(chain(a=note("a"), give_up=give_up)) as server:
        feed = await server.start(stream_resumable=True)
        result = await told(feed)
        assert result["__error__"]["error"] == "NodeCancelledError"
        assert errors_of(await records(feed)) == [result["__error__"]]
        assert (await server.run(feed.run)).status == "error"
        assert await server.wait(input={"log": ["x"]}) == result


async def test_a_graph_that_cancels_its_own_task_has_failed() -> None:
    async def give_up(state: State) -> State:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return {"log": []}

    async with house({"graph": chain(give_up=give_up), "sound": chain(a=note("a"))}) as server:
        assert (await server.wait())["__error__"]["error"] == "NodeCancelledError"
        assert await server.wait("other", "sound") == {"log": ["a"]}


async def test_a_node_that_ignores_its_cancellation_keeps_only_its_own_thread_busy() -> None:
    stubborn = Stubborn()
    async with house({"stubborn": chain(a=stubborn), "graph": chain(a=note("a"))}) as server:
        async with await server.start("stuck", "stubborn") as feed:
            await stubborn.reached.wait()
            await server.cancel(feed.run)
            await stubborn.cancelled.wait()
            assert await server.wait() == {"log": ["a"]}
            assert (await server.thread("stuck")).status == "busy"
            stubborn.opened.set()
            assert await told(feed) == {}
        assert (await server.thread("stuck")).status == "interrupted"


async def test_a_run_cancelled_before_its_worker_began_never_enters_the_graph() -> None:
    node = Count("a")
    stores = MemoryBackend().connect()
    opening, opened = asyncio.Event(), asyncio.Event()

    async def wait(call: str) -> None:
        if call == "open":
            opening.set()
            await opened.wait()

    stores.streams = faulty(stores.streams, Latency(wait))
    async with house(chain(a=node), stores=stores) as server, await server.start() as feed:
        await opening.wait()
        await server.cancel(feed.run)
        await settled()
        opened.set()
        assert await told(feed) == {}
    assert node.entered == 0


async def test_a_run_that_asks_is_a_success_and_its_thread_waits_for_the_answer() -> None:
    async def ask(state: State) -> State:
        return {"log": [interrupt("go on?")]}

    async with house(chain(ask=ask)) as server:
        run = await server.create()
        [asked] = (await server.result(run))["__interrupt__"]
        assert asked["value"] == "go on?"
        assert (await server.run(run)).status == "success"
        assert (await server.thread()).status == "interrupted"
        assert await server.wait(command={"resume": "yes"}) == {"log": ["yes"]}
        thread = await server.thread()
        assert (thread.status, thread.interrupts) == ("idle", {})


async def deleted_thread(server: House, run: Any) -> None:
    await server.runtime.threads.delete(ANONYMOUS, run.thread_id)


async def deleted_run(server: House, run: Any) -> None:
    await server.runtime.runs.delete(ANONYMOUS, run.thread_id, run.run_id)
    await server.runtime.threads.delete(ANONYMOUS, run.thread_id)


@pytest.mark.parametrize("delete", [deleted_thread, deleted_run])
@pytest.mark.parametrize("resumable", [True, False])
async def test_what_is_deleted_in_the_middle_of_a_run_leaves_nothing(delete: Any, resumable: bool) -> None:
    gate = Gate()
    stores = MemoryBackend().connect()
    async with house(chain(a=note("a"), gate=gate), stores=stores) as server:
        async with await server.start(stream_resumable=resumable) as feed:
            await gate.reached.wait()
            pending = [await server.create() for _ in range(3)]
            await delete(server, feed.run)
            assert await told(feed) == {}
        assert all(run.thread_id == "thread" for run in pending)
        left = server.left()
        for name in ("logs", "kept logs") if resumable else ():
            assert left.pop(name) == 1
        assert left == {}


@pytest.mark.parametrize("delete", [deleted_thread, deleted_run])
async def test_what_is_deleted_under_a_node_that_ignores_its_cancellation_leaves_nothing(delete: Any) -> None:
    stubborn = Stubborn()
    async with house(chain(a=note("a"), stubborn=stubborn, b=note("b")), poll=0.05) as server:
        async with await server.start() as feed:
            await stubborn.reached.wait()
            await delete(server, feed.run)
            assert await told(feed) == {}
        stubborn.opened.set()
        await server.ended(feed.run)
        assert server.left() == {}


async def test_a_deleted_run_frees_its_thread() -> None:
    gate = Gate()
    async with house({"graph": chain(a=note("a")), "gate": chain(gate=gate)}) as server:
        run = await server.create(graph="gate")
        await gate.reached.wait()
        await server.runtime.runs.delete(ANONYMOUS, "thread", run.run_id)
        assert await server.runs() == []
        assert await server.wait() == {"log": ["a"]}
        assert (await server.thread()).status == "idle"
