"""Use cases around what runs say: starting and following, joining, waiting."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from types import TracebackType

from fast_graph.auth.policy import Caller, Policy
from fast_graph.graphs.serde import encode
from fast_graph.model.errors import NotFoundError, UnavailableError
from fast_graph.model.lifecycle import TERMINAL
from fast_graph.model.records import Record, Run, Scope
from fast_graph.services.runs import RunRequest, Runs
from fast_graph.storage.runs import RunStore
from fast_graph.storage.stream import Reader, StreamLog
from fast_graph.storage.threads import ThreadStore

NEWS_PATIENCE = 2.0
"""Seconds that the close of a stream is waited for after its run has ended."""

GONE = b'{"__error__":{"error":"HTTPException","message":"404: Run not found"}}'
"""What waiting clients get for a run that is not there (any more)."""


class Feed:
    """One client's view of one run. Open from the start; whoever holds it closes it."""

    def __init__(self, run: Run, reader: Reader, closing: AsyncExitStack, streams: "Streams") -> None:
        self.run = run
        self.ended = False
        """Whether the run was seen to its end."""
        self._reader = reader
        self._closing = closing
        self._streams = streams

    async def __aenter__(self) -> "Feed":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop following."""
        await self._closing.aclose()

    async def batches(self) -> AsyncIterator[Sequence[Record]]:
        """What the run says, as it comes, until it has ended. Raises StreamTruncatedError."""
        idle = 0.0 if self.run.status in TERMINAL else self._streams.idle
        while (batch := await self._reader.batch(idle=idle)) is not None:
            if batch:
                yield batch
            elif await self._streams.is_over(self.run):
                idle = 0.0
                if not (batch := await self._reader.batch(idle=idle)):
                    break
                yield batch
        self.ended = True

    async def result(self, *, patience: float) -> bytes | None:
        """The JSON that waiting clients get; None if the run has not ended after ``patience`` seconds."""
        result = None
        if self.run.status not in TERMINAL:
            result = await self._reader.result(idle=patience)
            if result is None:
                if not await self._streams.is_over(self.run):
                    return None
                # The truth comes before the news: what a stateless run leaves is in the news alone.
                result = await self._reader.result(idle=NEWS_PATIENCE)
        if result is None:
            result = await self._standing(patience)
        self.ended = result is not None
        return result

    async def _standing(self, patience: float) -> bytes | None:
        """What the rows say, or, if they cannot be read, the log; None if neither can."""
        try:
            return await self._streams.result_of(self.run)
        except UnavailableError:
            return await self._reader.result(idle=patience)


class Streams:
    """Following runs, whoever executes them and wherever."""

    def __init__(
        self,
        log: StreamLog,
        runs: RunStore,
        threads: ThreadStore,
        *,
        service: Runs,
        policy: Policy,
        new_id: Callable[[], str],
        idle: float,
    ) -> None:
        self._log = log
        self._runs = runs
        self._threads = threads
        self._service = service
        self._policy = policy
        self._new_id = new_id
        self.idle = idle
        """Seconds of silence after which a reader looks at the run's row: news may have been lost."""

    def new_run_id(self) -> str:
        """An id for a run that is about to be created."""
        return self._new_id()

    async def start(self, caller: Caller, thread_id: str | None, request: RunRequest) -> Feed:
        """Create a run and follow it from its first event."""
        run_id = self._new_id()
        async with AsyncExitStack() as stack:
            reader = await stack.enter_async_context(self._log.follow(run_id, after=0, fresh=True))
            run = await self._service.create(caller, thread_id, request, run_id=run_id)
            return Feed(run, reader, stack.pop_all(), self)

    async def join(self, caller: Caller, thread_id: str | None, run_id: str, *, after: int | None) -> Feed:
        """Follow a run from now on, or from after the event with that number. Raises NotFoundError."""
        scope = await self._policy.authorize(caller, "threads", "read", {"thread_id": thread_id})
        async with AsyncExitStack() as stack:
            reader = await stack.enter_async_context(self._log.follow(run_id, after=after))
            run = await self._runs.get(run_id, thread_id=thread_id, scope=scope)
            return Feed(run, reader, stack.pop_all(), self)

    async def is_over(self, run: Run) -> bool:
        """Whether the run's row is terminal, or gone. While nobody can tell, it is not: clients wait on."""
        try:
            return (await self._runs.get(run.run_id, thread_id=run.thread_id, scope={})).status in TERMINAL
        except NotFoundError:
            return True
        except UnavailableError:
            return False

    async def result_of(self, run: Run) -> bytes:
        """The JSON that clients who come after the end of a run get: how its thread stands by now."""
        scope: Scope = {}
        try:
            run = await self._runs.get(run.run_id, thread_id=run.thread_id, scope=scope)
            thread = await self._threads.get(run.thread_id, scope=scope)
        except NotFoundError:
            return GONE
        if run.error is not None and run.error == thread.error:
            return encode({"__error__": asdict(run.error)})
        if thread.interrupts:
            return encode({"__interrupt__": [one for found in thread.interrupts.values() for one in found]})
        return thread.values or b"{}"
