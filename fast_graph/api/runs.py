"""Runs, on threads and on their own."""

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request, Response

from fast_graph.api import requests
from fast_graph.api.present import no_content, reply, run_json, selected
from fast_graph.api.routing import Guard, Routes, caller_of, path_id, path_uuid, quoted
from fast_graph.api.sse import EventStream, Gone, Waiting, error_frame
from fast_graph.auth.policy import Caller
from fast_graph.model.errors import ForbiddenError, InvalidError, NotFoundError
from fast_graph.model.lifecycle import CancelAction
from fast_graph.model.queries import RunQuery
from fast_graph.model.records import Run
from fast_graph.services.runs import Runs
from fast_graph.services.streams import GONE, Feed, Streams
from fast_graph.services.threads import check_thread_id

Strings = Annotated[list[str] | None, Query()]
Batch = Annotated[list[requests.RunCreate], Body(min_length=1)]
LastEventId = Annotated[str | None, Header()]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events", "content": {"text/event-stream": {}}}
}

MOST_DIGITS = 18
"""No event of a stream has a number with more."""


class RunRoutes:
    """The handlers of runs. ``thread_id`` is None for those of stateless runs."""

    def __init__(self, runs: Runs, streams: Streams) -> None:
        self._runs = runs
        self._streams = streams

    def add_to(self, router: APIRouter, guard: Guard | None = None) -> None:
        """Add all of them, under their paths; fixed paths before those with an id."""
        routes = Routes(router, "runs", guard)
        routes.add("POST /runs", self.create_alone)
        routes.add("POST /runs/stream", self.stream_alone, responses=STREAM)
        routes.add("POST /runs/wait", self.wait_alone)
        routes.add("POST /runs/batch", self.create_batch)
        routes.add("POST /runs/cancel", self.cancel_many, status_code=204)
        routes.add("GET /runs/{run_id}", self.get_alone)
        routes.add("GET /runs/{run_id}/join", self.join_alone)
        routes.add("GET /runs/{run_id}/stream", self.join_stream_alone, responses=STREAM)
        routes.add("POST /runs/{run_id}/cancel", self.cancel_alone, status_code=202)
        all_runs, one = "/threads/{thread_id}/runs", "/threads/{thread_id}/runs/{run_id}"
        routes.add(f"GET {all_runs}", self.search)
        routes.add(f"POST {all_runs}", self.create)
        routes.add(f"POST {all_runs}/stream", self.stream, responses=STREAM)
        routes.add(f"POST {all_runs}/wait", self.wait)
        routes.add(f"GET {one}", self.get)
        routes.add(f"DELETE {one}", self.delete, status_code=204)
        routes.add(f"GET {one}/join", self.join)
        routes.add(f"GET {one}/stream", self.join_stream, responses=STREAM)
        routes.add(f"POST {one}/cancel", self.cancel, status_code=202)

    async def create(self, request: Request, thread_id: str, body: requests.RunCreate) -> Response:
        """Start a run on a thread, in the background."""
        return await self._create(caller_of(request), check_thread_id(path_id(thread_id)), body)

    async def create_alone(self, request: Request, body: requests.RunCreate) -> Response:
        """Start a stateless run, in the background."""
        return await self._create(caller_of(request), None, body)

    async def _create(self, caller: Caller, thread_id: str | None, body: requests.RunCreate) -> Response:
        run = await self._runs.create(caller, thread_id, body.request(), run_id=self._streams.new_run_id())
        return reply(run_json(run), headers={"content-location": _path(run, thread_id)})

    async def stream(self, request: Request, thread_id: str, body: requests.RunCreate) -> Response:
        """Start a run on a thread and follow it."""
        return await self._stream(caller_of(request), check_thread_id(path_id(thread_id)), body)

    async def stream_alone(self, request: Request, body: requests.RunCreate) -> Response:
        """Start a stateless run and follow it."""
        return await self._stream(caller_of(request), None, body)

    async def _stream(self, caller: Caller, thread_id: str | None, body: requests.RunCreate) -> Response:
        feed = await self._streams.start(caller, thread_id, body.request())
        path = _path(feed.run, thread_id)
        return EventStream(feed, headers=_headers(path, "stream"), gone=self._on_disconnect(caller, feed, body))

    async def wait(self, request: Request, thread_id: str, body: requests.RunCreate) -> Response:
        """Start a run on a thread and wait for its final values."""
        return await self._wait(caller_of(request), check_thread_id(path_id(thread_id)), body)

    async def wait_alone(self, request: Request, body: requests.RunCreate) -> Response:
        """Start a stateless run and wait for its final values."""
        return await self._wait(caller_of(request), None, body)

    async def _wait(self, caller: Caller, thread_id: str | None, body: requests.RunCreate) -> Response:
        feed = await self._streams.start(caller, thread_id, body.request())
        path = _path(feed.run, feed.run.thread_id)
        return Waiting(feed, headers=_headers(path, "join"), gone=self._on_disconnect(caller, feed, body))

    def _on_disconnect(self, caller: Caller, feed: Feed, body: requests.RunCreate) -> Gone | None:
        return self._canceller(caller, feed.run) if body.on_disconnect == "cancel" else None

    def _canceller(self, caller: Caller, run: Run) -> Gone:
        async def cancel() -> None:
            with contextlib.suppress(NotFoundError, ForbiddenError):
                await self._runs.cancel(caller, run.thread_id, [run.run_id], "interrupt")

        return cancel

    async def create_batch(self, request: Request, body: Batch) -> Response:
        """Start many stateless runs."""
        runs = await self._runs.create_batch(caller_of(request), [one.request() for one in body])
        return reply([run_json(run) for run in runs])

    async def search(
        self,
        request: Request,
        thread_id: str,
        limit: requests.Limit = 10,
        offset: requests.Offset = 0,
        status: str | None = None,
        select: Strings = None,
    ) -> Response:
        """The thread's runs, newest first."""
        columns = requests.listed(select)
        unknown = sorted(set(columns or ()) - set(requests.RUN_COLUMNS))
        if unknown:
            raise InvalidError(f"A run has no column {unknown[0]!r}; it has {', '.join(requests.RUN_COLUMNS)}")
        query = RunQuery(thread_id=path_id(thread_id), limit=limit, offset=offset, status=status or None)
        page = await self._runs.search(caller_of(request), query)
        return reply([selected(run_json(run), columns) for run in page.rows])

    async def get(self, request: Request, thread_id: str, run_id: str) -> Response:
        """One run."""
        run = await self._runs.get(caller_of(request), path_id(thread_id), path_uuid(run_id, "run"))
        return reply(run_json(run))

    async def get_alone(self, request: Request, run_id: str) -> Response:
        """One run, by its id alone."""
        return reply(run_json(await self._runs.get(caller_of(request), None, path_uuid(run_id, "run"))))

    async def delete(self, request: Request, thread_id: str, run_id: str) -> Response:
        """Remove a run; one in flight is cancelled."""
        await self._runs.delete(caller_of(request), path_id(thread_id), path_uuid(run_id, "run"))
        return no_content()

    async def join(
        self,
        request: Request,
        thread_id: str,
        run_id: str,
        cancel_on_disconnect: bool = False,
    ) -> Response:
        """Wait for a run's final values."""
        return await self._join(caller_of(request), path_id(thread_id), run_id, cancel=cancel_on_disconnect)

    async def join_alone(
        self,
        request: Request,
        run_id: str,
        cancel_on_disconnect: bool = False,
    ) -> Response:
        """Wait for a run's final values, by the run's id alone."""
        return await self._join(caller_of(request), None, run_id, cancel=cancel_on_disconnect)

    async def _join(self, caller: Caller, thread_id: str | None, run_id: str, *, cancel: bool) -> Response:
        run_id = path_uuid(run_id, "run")
        path = _run_path(thread_id, run_id)
        headers = _headers(path, "join")
        try:
            feed = await self._streams.join(caller, thread_id, run_id, after=None)
        except NotFoundError:
            return Response(GONE, media_type="application/json", headers=headers)
        return Waiting(feed, headers=headers, gone=self._canceller(caller, feed.run) if cancel else None)

    async def join_stream(
        self,
        request: Request,
        thread_id: str,
        run_id: str,
        stream_mode: Strings = None,
        cancel_on_disconnect: bool = False,
        last_event_id: LastEventId = None,
    ) -> Response:
        """Follow a run from now on, or from after an event seen before."""
        caller, modes = caller_of(request), requests.listed(stream_mode)
        return await self._join_stream(
            caller, path_id(thread_id), run_id, modes, last_event_id, cancel=cancel_on_disconnect
        )

    async def join_stream_alone(
        self,
        request: Request,
        run_id: str,
        stream_mode: Strings = None,
        cancel_on_disconnect: bool = False,
        last_event_id: LastEventId = None,
    ) -> Response:
        """Follow a run, by its id alone."""
        caller, modes = caller_of(request), requests.listed(stream_mode)
        return await self._join_stream(caller, None, run_id, modes, last_event_id, cancel=cancel_on_disconnect)

    async def _join_stream(
        self,
        caller: Caller,
        thread_id: str | None,
        run_id: str,
        modes: list[str] | None,
        last_event_id: str | None,
        *,
        cancel: bool,
    ) -> Response:
        run_id = path_uuid(run_id, "run")
        path = _run_path(thread_id, run_id)
        headers = _headers(path, "stream")
        try:
            feed = await self._streams.join(caller, thread_id, run_id, after=_position(last_event_id))
        except NotFoundError:
            missing = error_frame("HTTPException", "404: Run not found")
            return Response(missing, media_type="text/event-stream", headers={**headers, "cache-control": "no-store"})
        gone = self._canceller(caller, feed.run) if cancel else None
        return EventStream(feed, headers=headers, modes=modes, gone=gone)

    async def cancel(
        self,
        request: Request,
        thread_id: str,
        run_id: str,
        wait: bool = False,
        action: CancelAction = "interrupt",
    ) -> Response:
        """Stop a run, and keep or roll back what it did."""
        return await self._cancel(caller_of(request), path_id(thread_id), run_id, action, wait=wait)

    async def cancel_alone(
        self,
        request: Request,
        run_id: str,
        wait: bool = False,
        action: CancelAction = "interrupt",
    ) -> Response:
        """Stop a run, by its id alone."""
        return await self._cancel(caller_of(request), None, run_id, action, wait=wait)

    async def _cancel(
        self, caller: Caller, thread_id: str | None, run_id: str, action: CancelAction, *, wait: bool
    ) -> Response:
        run_id = path_uuid(run_id, "run")
        if not wait:
            await self._runs.cancel(caller, thread_id, [run_id], action)
            return Response(status_code=202)
        feed = await self._streams.join(caller, thread_id, run_id, after=None)
        try:
            await self._runs.cancel(caller, thread_id, [run_id], action)
        except BaseException:
            await feed.close()
            raise
        return Waiting(feed, headers=_headers(_run_path(thread_id, run_id), "join"))

    async def cancel_many(
        self, request: Request, body: requests.RunsCancel, action: CancelAction = "interrupt"
    ) -> Response:
        """Stop several runs of a thread, or all of a status."""
        caller = caller_of(request)
        if body.status is not None:
            await self._runs.cancel_where(caller, body.status, action)
        else:
            await self._runs.cancel(caller, body.thread_id, body.run_ids or [], action)
        return no_content()


def _run_path(thread_id: str | None, run_id: str) -> str:
    prefix = "" if thread_id is None else f"/threads/{quoted(thread_id)}"
    return f"{prefix}/runs/{run_id}"


def _path(run: Run, thread_id: str | None) -> str:
    return _run_path(thread_id, run.run_id)


def _headers(path: str, way: str) -> Mapping[str, str]:
    """Where the client can come back to if the connection drops, and which run this is."""
    return {"location": f"{path}/{way}", "content-location": path}


def _position(last_event_id: str | None) -> int | None:
    """The number of the last event the client saw; 0 is before the first. Raises InvalidError."""
    if not last_event_id:
        return None
    if last_event_id in ("-1", "0"):
        return 0
    _, _, number = last_event_id.partition("-")
    if not number.isdecimal() or len(number) > MOST_DIGITS:
        raise InvalidError(f"Last-Event-ID is an id this stream has sent, or -1 for all, not {last_event_id[:80]!r}")
    return int(number)
