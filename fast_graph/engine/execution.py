"""One attempt at one run, from the claimed lease to the end that is written down.

The order is the law: events are appended, then the queue is told how the run ended, then the stream is closed.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from fast_graph.engine.insisting import insist
from fast_graph.engine.outcome import Abandon, Ending, Release, StopReason, outcome_of
from fast_graph.engine.publisher import PATIENCE, Publisher
from fast_graph.graphs.config import context_for, fenced, resumed, run_config, run_input
from fast_graph.graphs.failures import describe
from fast_graph.graphs.registry import Graph, Registry
from fast_graph.graphs.serde import decode, encode
from fast_graph.graphs.snapshot import Standing, is_at_rest, latest
from fast_graph.graphs.stream import GraphStream
from fast_graph.model.errors import LeaseLostError, NotFoundError, TooLargeError, UnavailableError
from fast_graph.model.records import EVERYTHING, Event, Failure, Json, Lease, Outcome, Renewal, ThreadState, Wish
from fast_graph.storage.checkpoints import Checkpointer
from fast_graph.storage.queue import RunQueue
from fast_graph.storage.runs import RunStore
from fast_graph.storage.stream import StreamLog

log = logging.getLogger("fast_graph.engine")

NOTHING = b"{}"
NO_DELAY = timedelta()
DRAINING = frozenset({"shutdown", "pause"})
BY_ITSELF = frozenset({"shutdown", "timeout"})
"""Reasons to stop that do not count any more once the graph has come to its own end."""
OBSERVING = frozenset({"checkpoints", "debug"})
"""Stream modes that show checkpoints; without them nobody sees those of a temporary thread."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What every execution of a worker works with."""

    queue: RunQueue
    runs: RunStore
    streams: StreamLog
    graphs: Registry
    checkpointer: Checkpointer
    scratch: Checkpointer
    """For temporary threads."""
    run_timeout: float | None
    """Seconds a run may take; None is for ever."""
    max_event_bytes: int | None = None
    """How large an event may be; None is any size."""


@dataclass
class Progress:
    """What is known of the graph when it has stopped."""

    result: bytes | None = None
    """JSON of the last values, interrupts included."""
    complete: bool = False
    """The graph came to its end: the last values are the thread's state."""
    error: Failure | None = None


class Execution:
    """Runs the graph of one lease and writes down how it ended. Ends for one reason, which it holds."""

    def __init__(self, lease: Lease, tools: Tools) -> None:
        self.lease = lease
        self.others_wait = True
        """Whether other runs may be waiting on its thread."""
        self._run = lease.run
        self._kwargs: Json = decode(lease.run.kwargs)
        self._tools = tools
        self._reason: StopReason | None = None
        self._wish: Wish | None = None
        self._control = RunControl()
        self._life: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._over = False
        self._in_doubt = False
        self._saver = tools.scratch if lease.run.temporary else tools.checkpointer

    def heard(self, renewal: Renewal) -> None:
        """Act on a heartbeat's answer."""
        if not renewal.fresh:
            if not self._in_doubt:  # else the end may have been written, by ourselves
                self.stop("lease_lost")
        elif renewal.wish is not None:
            self._obey(renewal.wish)
        elif self._stopping and self._task is not None:
            self._task.cancel()  # it did not listen the last time

    def stop(self, reason: StopReason, wish: Wish | None = None) -> None:
        """Make the graph stop at once. The first reason counts, but a rollback overrides an interrupt, and a lost
        lease everything.
        """
        if self._over and reason in BY_ITSELF:
            return
        upgraded = (self._reason, reason) == ("interrupt", "rollback")
        if self._reason is None or upgraded or reason == "lease_lost":
            self._reason, self._wish = reason, wish
        self._stopping = True
        # A node may swallow its cancellation: then the graph stops after its superstep.
        self._control.request_drain(reason)
        if self._task is not None:
            self._task.cancel()

    def drain(self, reason: StopReason) -> None:
        """Make the graph stop after its current superstep, with the checkpoint written."""
        if self._reason is None and not self._over:
            self._reason = reason
            self._control.request_drain(reason)

    def abandon(self) -> None:
        """Stop at once and write nothing: the lease runs out, and somebody else goes on."""
        if self._life is not None:
            self._life.cancel()

    def _obey(self, wish: Wish) -> None:
        if wish.action == "pause":
            self.drain("pause")
        else:
            self.stop(wish.action, wish)

    async def run(self) -> None:
        """Execute. Every end but a lost lease is written down; raises only what the backend raises."""
        self._life = asyncio.current_task()
        try:
            if self.lease.wish is not None:
                self._obey(self.lease.wish)
            progress = Progress()
            if self._reason is None:
                await self._follow_graph(progress)
            await insist(lambda: self._settle(progress))
        except LeaseLostError:
            log.warning("lease lost: %s", self)

    async def _follow_graph(self, progress: Progress) -> None:
        """Run the graph in a task that ``stop`` can cancel, beside a publisher that brings its events to the log."""
        publisher = Publisher(self._tools.streams, self.lease)
        await publisher.open()
        if self._reason is not None:  # it was told to stop meanwhile
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(publisher.run())
                self._task = group.create_task(self._run_graph(publisher, progress))
                with self._alarm():
                    await asyncio.wait([self._task])
                await self._publish_error(publisher, progress)
                publisher.close()
        except* LeaseLostError:
            self._reason = "lease_lost"
        finally:
            self._task = None

    @contextmanager
    def _alarm(self) -> Iterator[None]:
        seconds = self._tools.run_timeout
        alarm = asyncio.get_running_loop().call_later(seconds, self.stop, "timeout") if seconds else None
        try:
            yield
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _publish_error(self, publisher: Publisher, progress: Progress) -> None:
        if self._reason == "timeout":
            progress.error = Failure(error="TimeoutError", message=f"The run took over {self._tools.run_timeout:g} s")
        elif self._reason is None and self._task is not None and self._task.cancelled():
            progress.error = Failure(error="CancelledError", message="The graph cancelled itself")
        if progress.error is not None:
            await publisher.put(Event("error", encode(asdict(progress.error))))

    async def _run_graph(self, publisher: Publisher, progress: Progress) -> None:
        try:
            await self._publish_graph(publisher, progress)
        except GraphDrained:
            return  # `drain` asked for it: the reason is held already
        except asyncio.CancelledError:
            raise
        except LeaseLostError:
            self._reason = "lease_lost"
            return
        except BaseException as error:
            progress.error = describe(error)
            log.warning("run failed: %s", self, exc_info=error)
        self._ended_by_itself()

    def _ended_by_itself(self) -> None:
        """A drained graph that stopped for its own reasons is not handed over: resumed, it would walk past them."""
        if self._task is not None and not self._task.cancelling():
            self._over = True
            if self._reason in DRAINING:
                self._reason = None

    async def _publish_graph(self, publisher: Publisher, progress: Progress) -> None:
        run, kwargs = self._run, self._kwargs
        await publisher.put(Event("metadata", encode({"run_id": run.run_id, "attempt": run.attempt})))
        config = fenced(run_config(run, kwargs), self.lease.token)
        opening = self._tools.graphs.open(
            self._graph_id, "threads.create_run", config, kwargs["context"], temporary=run.temporary
        )
        async with opening as graph:
            if await self._goes_on():
                given, config = None, resumed(config)
                if await is_at_rest(graph, run.thread_id, kwargs["interrupt_before"], kwargs["interrupt_after"]):
                    return
            else:
                given = run_input(kwargs)
            stream = GraphStream(graph, modes=kwargs["stream_mode"], subgraphs=kwargs["subgraphs"])
            events = stream.events(given, config, control=self._control, **self._options(graph))
            async with aclosing(events):
                async for event in events:
                    self._check_size(event)
                    await publisher.put(event)
            progress.result = stream.values()
            progress.complete = not stream.interrupted and progress.result is not None

    def _check_size(self, event: Event) -> None:
        most = self._tools.max_event_bytes
        if most is not None and len(event.data) > most:
            raise TooLargeError(
                f"The graph says an event of {len(event.data)} bytes ({event.name}): {most} are allowed"
            )

    async def _goes_on(self) -> bool:
        """Whether an earlier attempt has left a checkpoint to go on from."""
        if self.lease.token == 1:
            return False
        where: RunnableConfig = {"configurable": {"thread_id": self._run.thread_id}}
        last = await insist(lambda: self._saver.aget_tuple(where))
        return last is not None and last.metadata.get("run_id") == self._run.run_id

    def _options(self, graph: Graph) -> dict[str, Any]:
        kwargs = self._kwargs
        unseen = self._run.temporary and not OBSERVING.intersection(kwargs["stream_mode"])
        return {
            "context": context_for(graph, kwargs["context"]),
            "interrupt_before": kwargs["interrupt_before"],
            "interrupt_after": kwargs["interrupt_after"],
            "durability": "exit" if unseen else kwargs["durability"],
        }

    @property
    def _graph_id(self) -> str:
        return str(self._kwargs["config"]["configurable"]["graph_id"])

    async def _settle(self, progress: Progress) -> None:
        """Write down how it ended: the truth first, then the news."""
        reason = self._reason
        await self._flush()
        if reason == "rollback":
            await self._saver.adelete_for_runs([self._run.run_id])
        standing = await self._standing(progress)
        if self._reason != reason:  # it was told to stop meanwhile
            await self._settle(progress)
            return
        decision = outcome_of(
            Ending(
                reason=self._reason,
                wish=self._wish,
                error=progress.error,
                state=standing.state,
                state_status=standing.status,
            )
        )
        match decision:
            case Abandon():
                log.warning("lease lost: %s", self)
            case Release():
                await self._tools.queue.release(self.lease, delay=NO_DELAY)
                log.info("run released: %s", self)
            case Outcome():
                await self._finish(decision, progress.result)

    async def _flush(self) -> None:
        try:
            await self._saver.aflush(self._run.run_id)
        except LeaseLostError:
            self._reason = "lease_lost"

    async def _standing(self, progress: Progress) -> Standing:
        if self._run.temporary or self._reason in ("lease_lost", "shutdown"):
            return Standing()
        if progress.complete and self._reason is None and progress.error is None:
            return Standing(state=ThreadState(values=progress.result, interrupts={}))
        try:
            async with self._tools.graphs.open(self._graph_id, "threads.read", self._kwargs["config"]) as graph:
                return await latest(graph, self._run.thread_id)
        except Exception:  # a state that cannot be shown must not keep the run from ending
            log.exception("state unreadable: %s", self)
            return Standing()

    async def _finish(self, outcome: Outcome, result: bytes | None) -> None:
        await self._write_end(outcome)
        if self._run.temporary:
            await self._saver.adelete_thread(self._run.thread_id)
        log.info("run ended: %s status=%s", self, outcome.status)
        told, keep = _told(outcome, result), self._run.resumable
        try:
            await insist(lambda: self._tools.streams.close(self._run.run_id, told, keep=keep), patience=PATIENCE)
        except UnavailableError:  # its readers look at the row by themselves
            log.exception("stream not closed: %s", self)

    async def _write_end(self, outcome: Outcome) -> None:
        try:
            self.others_wait = await self._tools.queue.finish(self.lease, outcome)
        except UnavailableError:
            self._in_doubt = True
            raise
        except LeaseLostError:
            if not self._in_doubt or not await self._has_ended(outcome):
                raise

    async def _has_ended(self, outcome: Outcome) -> bool:
        """Whether an earlier try, whose answer was lost, has written the end."""
        try:
            run = await self._tools.runs.get(self._run.run_id, thread_id=None, scope=EVERYTHING)
        except NotFoundError:
            return outcome.forget or self._run.temporary
        return run.status == outcome.status

    def __str__(self) -> str:
        run = self._run
        return f"run={run.run_id} thread={run.thread_id} attempt={run.attempt} worker={self.lease.worker}"


def _told(outcome: Outcome, result: bytes | None) -> bytes:
    """The JSON that clients who waited for the run get."""
    if outcome.status == "interrupted":
        return NOTHING
    if outcome.error is not None:
        return encode({"__error__": asdict(outcome.error)})
    if result is not None:
        return result
    return (outcome.state and outcome.state.values) or NOTHING
