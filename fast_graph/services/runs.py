"""Use cases around runs: admitting, looking up, stopping."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from fast_graph.auth.policy import Caller, Policy
from fast_graph.graphs.config import CHECKPOINT_KEYS, client_keys, user_keys
from fast_graph.graphs.serde import encode
from fast_graph.model.clock import Clock
from fast_graph.model.errors import (
    CapacityError,
    ForbiddenError,
    InvalidError,
    LimitError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from fast_graph.model.lifecycle import TERMINAL, CancelAction, MultitaskStrategy
from fast_graph.model.queries import RunQuery
from fast_graph.model.quota import UNLIMITED, Quota
from fast_graph.model.records import Assistant, Json, Page, Run, Scope, Thread
from fast_graph.services.assistants import Assistants, is_uuid
from fast_graph.storage.runs import RunStore
from fast_graph.storage.signals import CancelRequested, RunsReady, Signals
from fast_graph.storage.stream import StreamLog
from fast_graph.storage.threads import ThreadStore

CANCELLED = b"{}"
"""What clients that wait for a run get when it is cancelled."""

SHOWN = ("input", "command", "config", "context", "stream_mode", "interrupt_before", "interrupt_after")
"""What of a request a policy is shown as the run's ``kwargs``."""

OWNERSHIP = frozenset({"graph_id", "assistant_id"})
"""What metadata says of whose a run and its thread are: the server's to say, never a client's."""

HANDFUL = 1000
"""Runs that one call cancels: nobody waits long for the locks it takes."""

CONFIG_KEYS = frozenset({"tags", "recursion_limit", "max_concurrency", "run_name", "configurable", "metadata"})
"""What of an assistant's config reaches a graph."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a client asks for when it creates a run."""

    assistant_id: str
    input: Any = None
    command: Json | None = None
    config: Json = field(default_factory=dict)
    context: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    stream_mode: Sequence[str] = ("values",)
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    interrupt_before: Sequence[str] | Literal["*"] | None = None
    interrupt_after: Sequence[str] | Literal["*"] | None = None
    feedback_keys: Sequence[str] | None = None
    multitask_strategy: MultitaskStrategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    after_seconds: float = 0
    durability: Literal["sync", "async", "exit"] = "async"
    checkpoint: Json = field(default_factory=dict)
    keep_thread: bool = False
    """Stateless runs only: the thread that is made for the run stays."""
    max_attempts: int | None = None
    """How often the run is tried if its workers are lost; None leaves it to the graph and the server."""


class Runs:
    """Runs, from the side of those who want them run."""

    def __init__(
        self,
        store: RunStore,
        threads: ThreadStore,
        *,
        assistants: Assistants,
        streams: StreamLog,
        signals: Signals,
        policy: Policy,
        clock: Clock,
        new_id: Callable[[], str],
        stop_patience: float,
        max_attempts: Mapping[str, int],
        quota: Quota = UNLIMITED,
        max_steps: int | None = None,
    ) -> None:
        """``max_attempts`` says by graph how often its runs are tried, where the server's number will not do.

        ``max_steps`` is the highest recursion limit that is granted.
        """
        self._store = store
        self._threads = threads
        self._assistants = assistants
        self._streams = streams
        self._signals = signals
        self._policy = policy
        self._clock = clock
        self._new_id = new_id
        self._stop_patience = stop_patience
        self._max_attempts = max_attempts
        self._quota = quota
        self._max_steps = max_steps

    async def create(self, caller: Caller, thread_id: str | None, request: RunRequest, *, run_id: str) -> Run:
        """Admit a run on a thread, or on one of its own. Raises what the door shows as 404, 409 or 422."""
        _check(request, thread_id)
        assistant = await self._assistant(caller, request.assistant_id)
        self._check_steps(assistant, request)
        value = run_value(assistant, request, thread_id=thread_id, run_id=run_id)
        scope = await self._policy.authorize(caller, "threads", "create_run", value)
        ours = stamped(value["metadata"], request.metadata, scope)
        request = replace(request, metadata=value["metadata"])
        if thread_id is None:
            return await self._admit_alone(assistant, request, run_id, caller, ours)
        thread, create_thread = await self._thread(thread_id, request, scope, ours)
        shared = {"graph_id": assistant.graph_id, "assistant_id": assistant.assistant_id}
        metadata = merged_metadata(assistant.metadata, thread.metadata, shared, request)
        run = self._run(run_id, thread_id, assistant, request, metadata, caller)
        return await self._admit(run, create_thread, thread_config(assistant, request), scope)

    async def _assistant(self, caller: Caller, reference: str) -> Assistant:
        try:
            return await self._assistants.to_run(caller, reference)
        except NotFoundError as error:
            raise NotFoundError(f"Thread or assistant not found: there is no assistant {reference}") from error

    def _check_steps(self, assistant: Assistant, request: RunRequest) -> None:
        asked = {**assistant.config, **request.config}.get("recursion_limit")
        if self._max_steps is not None and asked is not None and asked > self._max_steps:
            raise InvalidError(f"The recursion_limit is {asked}, and may be {self._max_steps} at most")

    async def _thread(
        self, thread_id: str, request: RunRequest, scope: Scope, ours: Json
    ) -> tuple[Thread, Thread | None]:
        """The thread to run on; and once more, if it has to be made."""
        try:
            return await self._threads.get(thread_id, scope=scope), None
        except NotFoundError as error:
            if request.if_not_exists == "reject":
                raise NotFoundError(f"Thread or assistant not found: there is no thread {thread_id}") from error
        made = Thread.fresh(thread_id, now=self._clock(), metadata=ours)
        return made, made

    async def _admit_alone(
        self, assistant: Assistant, request: RunRequest, run_id: str, caller: Caller, ours: Json
    ) -> Run:
        """A stateless run: a run like any other, on a thread that nobody else knows."""
        thread_id = self._new_id()
        shared = {"assistant_id": assistant.assistant_id}
        about = {"graph_id": assistant.graph_id, **shared}
        thread = Thread.fresh(thread_id, now=self._clock(), metadata={**ours, **about})
        metadata = merged_metadata(assistant.metadata, {}, shared, request)
        run = self._run(run_id, thread_id, assistant, request, metadata, caller, temporary=not request.keep_thread)
        return await self._admit(run, thread, thread_config(assistant, request), {})

    def _run(
        self,
        run_id: str,
        thread_id: str,
        assistant: Assistant,
        request: RunRequest,
        metadata: Json,
        caller: Caller,
        *,
        temporary: bool = False,
    ) -> Run:
        now = self._clock()
        places = {"run_id": run_id, "thread_id": thread_id, "user_id": caller.identity, **user_keys(caller.user)}
        about = {"graph_id": assistant.graph_id, "assistant_id": assistant.assistant_id}
        return Run(
            run_id=run_id,
            thread_id=thread_id,
            assistant_id=assistant.assistant_id,
            created_at=now,
            updated_at=now,
            metadata=metadata,
            kwargs=encode(
                run_kwargs(assistant, request, metadata=metadata, places={**places, **about}, temporary=temporary)
            ),
            temporary=temporary,
            multitask_strategy=request.multitask_strategy,
            resumable=request.stream_resumable,
            max_attempts=request.max_attempts or self._max_attempts.get(assistant.graph_id),
            due_at=now + timedelta(seconds=request.after_seconds) if request.after_seconds else None,
            caller=caller.share if self._quota.per_caller is not None else None,
            graph_id=assistant.graph_id if self._quota.per_graph is not None else None,
        )

    async def _admit(self, run: Run, create_thread: Thread | None, config: Json, scope: Scope) -> Run:
        created = await self._store.create(
            run, create_thread=create_thread, thread_config=config, scope=scope, quota=self._quota
        )
        if not created.claimed:
            await self._signals.send(RunsReady(due_at=run.due_at))
        if created.displaced:
            await self._announce(created.displaced)
        return created.run

    async def _announce(self, stopped: Sequence[Run]) -> None:
        """Tell the holders of running runs, and the readers of those that ended at once."""
        for run in stopped:
            if run.status in TERMINAL:
                await self._close(run.run_id, keep=run.resumable)
        await self._signals.send(CancelRequested([run.run_id for run in stopped]))

    async def create_batch(self, caller: Caller, requests: Sequence[RunRequest]) -> Sequence[Run]:
        """Stateless runs: all of them, or none. Raises what ``create`` raises."""
        for request in requests:
            _check(request, None)
            self._check_steps(await self._assistant(caller, request.assistant_id), request)
        admitted: list[Run] = []
        try:
            for request in requests:
                run = await self.create(caller, None, request, run_id=self._new_id())
                admitted.append(run)  # one by one: what was admitted so far has to be known
        except (CapacityError, ForbiddenError, LimitError):
            await self._stop(admitted, "rollback", {})
            raise
        return admitted

    async def get(self, caller: Caller, thread_id: str | None, run_id: str) -> Run:
        """The run's row."""
        scope = await self._policy.authorize(caller, "threads", "read", {"thread_id": thread_id})
        return await self._store.get(run_id, thread_id=thread_id, scope=scope)

    async def search(self, caller: Caller, query: RunQuery) -> Page[Run]:
        """The runs of a thread, newest first."""
        scope = await self._policy.authorize(caller, "threads", "read", {"thread_id": query.thread_id})
        return await self._store.search(query, scope=scope)

    async def delete(self, caller: Caller, thread_id: str, run_id: str) -> None:
        """Remove a run's row. One in flight is stopped first, so that its thread is free again."""
        value = {"thread_id": thread_id, "run_id": run_id}
        scope = await self._policy.authorize(caller, "threads", "delete", value)
        run = await self._store.get(run_id, thread_id=thread_id, scope=scope)
        if run.status not in TERMINAL:
            await self._stop([run], "interrupt", scope)
        with contextlib.suppress(NotFoundError):  # a stateless run's row goes as it stops
            await self._store.delete(run_id, thread_id=thread_id, scope=scope)
        await self._close(run_id, keep=False)

    async def cancel(self, caller: Caller, thread_id: str | None, run_ids: Sequence[str], action: CancelAction) -> None:
        """Ask runs to stop. Raises NotFoundError if none of them is in flight."""
        value = {"thread_id": thread_id, "action": action}
        scope = await self._policy.authorize(caller, "threads", "update", value)
        known = [run for run_id in dict.fromkeys(run_ids) if (run := await self._find(run_id, thread_id, scope))]
        if not known:
            raise NotFoundError("None of these runs exists on that thread")
        stopped = await self._store.request_cancel([run.run_id for run in known], action, scope=scope)
        if not stopped:
            raise NotFoundError("None of these runs is pending or running: there is nothing to cancel")
        await self._announce(stopped)

    async def cancel_where(self, caller: Caller, status: str, action: CancelAction) -> None:
        """Ask every run of a status (``pending``, ``running`` or ``all``) to stop. Raises NotFoundError."""
        value = {"thread_id": None, "status": status, "action": action}
        scope = await self._policy.authorize(caller, "threads", "update", value)
        inflight = await self._store.inflight(thread_id=None, scope=scope)
        wanted = [run.run_id for run in inflight if status in ("all", run.status)]
        stopped: list[Run] = []
        for first in range(0, len(wanted), HANDFUL):
            stopped += await self._store.request_cancel(wanted[first : first + HANDFUL], action, scope=scope)
        if not stopped:
            raise NotFoundError(f"No {'run in flight' if status == 'all' else status + ' run'} to cancel")
        await self._announce(stopped)

    async def _find(self, run_id: str, thread_id: str | None, scope: Scope) -> Run | None:
        try:
            return await self._store.get(run_id, thread_id=thread_id, scope=scope)
        except NotFoundError:
            return None

    async def stop_all(self, thread_id: str, *, scope: Scope) -> None:
        """Stop whatever is in flight on the thread and wait, for a while, until it has."""
        await self._stop(await self._store.inflight(thread_id=thread_id, scope=scope), "interrupt", scope)

    async def _stop(self, runs: Sequence[Run], action: CancelAction, scope: Scope) -> None:
        async with AsyncExitStack() as stack:
            readers = {
                run.run_id: await stack.enter_async_context(self._streams.follow(run.run_id, after=None))
                for run in runs
            }
            stopped = await self._store.request_cancel(list(readers), action, scope=scope)
            await self._announce(stopped)
            for run in stopped:
                if run.status == "running" and await readers[run.run_id].result(idle=self._stop_patience) is None:
                    await self._close(run.run_id, keep=False)  # it does not listen: cut it off

    async def _close(self, run_id: str, *, keep: bool) -> None:
        """Tell the readers of a run that it was cancelled. What was done stays done if they cannot be told now."""
        with contextlib.suppress(UnavailableError):  # they look at the row by themselves
            await self._streams.close(run_id, CANCELLED, keep=keep)


def _check(request: RunRequest, thread_id: str | None) -> None:
    checkpoint_id = request.checkpoint.get("checkpoint_id")
    if checkpoint_id is not None and not is_uuid(checkpoint_id):
        raise InvalidError(f"A checkpoint id is a UUID, not {checkpoint_id[:80]!r}")
    if thread_id is None and (request.command or {}).get("resume") is not None:
        raise RefusedError("Resuming needs the thread that was interrupted: create the run on its thread_id")
    if request.context and request.config.get("configurable"):
        raise RefusedError("Give either 'context' or 'config.configurable', not both: they mean the same")


def merged_metadata(assistant: Json, thread: Json, shared: Json, request: RunRequest) -> Json:
    """The run's metadata: the assistant's, the thread's, what the client gave; nobody overrides what they share."""
    given = client_keys({**assistant, **thread, **(request.config.get("metadata") or {}), **request.metadata})
    return {**{key: value for key, value in given.items() if key not in OWNERSHIP}, **shared}


def run_value(assistant: Assistant, request: RunRequest, *, thread_id: str | None, run_id: str) -> dict[str, Any]:
    """What a policy is shown of a run before it is made."""
    return {
        "thread_id": thread_id,
        "assistant_id": assistant.assistant_id,
        "run_id": run_id,
        "status": "pending",
        "metadata": dict(request.metadata),
        "prevent_insert_if_inflight": request.multitask_strategy == "reject",
        "multitask_strategy": request.multitask_strategy,
        "if_not_exists": request.if_not_exists,
        "after_seconds": request.after_seconds,
        "kwargs": {name: getattr(request, name) for name in SHOWN},
    }


def stamped(metadata: Json, given: Json, scope: Scope) -> Json:
    """What the policy put into a run's metadata: it goes on the thread that is made for the run, too, and what the
    client gave does not.
    """
    return {key: value for key, value in metadata.items() if key in scope or key not in given or given[key] != value}


def run_kwargs(assistant: Assistant, request: RunRequest, *, metadata: Json, places: Json, temporary: bool) -> Json:
    """Everything the execution needs, in the form clients see on the run."""
    theirs = {key: value for key, value in assistant.config.items() if key in CONFIG_KEYS}
    config = {**theirs, **request.config}
    given = client_keys(request.context or request.config.get("configurable") or {})
    checkpoint = {key: request.checkpoint[key] for key in CHECKPOINT_KEYS if request.checkpoint.get(key) is not None}
    configurable = {**client_keys(assistant.config.get("configurable") or {}), **given, **checkpoint, **places}
    return {
        "input": request.input,
        "command": request.command,
        "config": {**config, "configurable": configurable, "metadata": metadata},
        "context": {**client_keys(assistant.context), **given},
        "stream_mode": list(request.stream_mode),
        "interrupt_before": request.interrupt_before,
        "interrupt_after": request.interrupt_after,
        "webhook": None,
        "feedback_keys": request.feedback_keys,
        "temporary": temporary,
        "subgraphs": request.stream_subgraphs,
        "resumable": request.stream_resumable,
        "checkpoint_during": request.durability != "exit",
        "durability": request.durability,
    }


def thread_config(assistant: Assistant, request: RunRequest) -> Json:
    """What the thread shows as its config: the run's, with the assistant's own configurable."""
    return {
        **assistant.config,
        **request.config,
        "configurable": dict(assistant.config.get("configurable", {})),
    }
