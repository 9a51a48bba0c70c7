"""/threads, and what lies at them."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from fast_graph.api import requests
from fast_graph.api.present import (
    extract_path,
    found_thread_json,
    no_content,
    page_headers,
    reply,
    selected,
    thread_json,
)
from fast_graph.api.routing import Guard, Routes, caller_of, path_id
from fast_graph.model.queries import ThreadQuery
from fast_graph.services.state import States
from fast_graph.services.threads import Threads

Columns = Annotated[list[str] | None, Query()]


class ThreadRoutes:
    """The handlers of threads and their state."""

    def __init__(self, threads: Threads, states: States) -> None:
        self._threads = threads
        self._states = states

    def add_to(self, router: APIRouter, guard: Guard | None = None) -> None:
        """Add all of them, under their paths."""
        routes = Routes(router, "threads", guard)
        one = "/threads/{thread_id}"
        routes.add("POST /threads", self.create)
        routes.add("POST /threads/search", self.search)
        routes.add("POST /threads/count", self.count)
        routes.add("POST /threads/prune", self.prune)
        routes.add(f"GET {one}", self.get)
        routes.add(f"PATCH {one}", self.patch)
        routes.add(f"DELETE {one}", self.delete, status_code=204)
        routes.add(f"POST {one}/copy", self.copy)
        routes.add(f"GET {one}/state", self.state)
        routes.add(f"POST {one}/state", self.update_state)
        routes.add(f"PATCH {one}/state", self.patch_state)
        routes.add(f"POST {one}/state/checkpoint", self.state_at)
        routes.add(f"GET {one}/state/{{checkpoint_id}}", self.state_at_id)
        routes.add(f"GET {one}/history", self.history)
        routes.add(f"POST {one}/history", self.search_history)

    async def create(self, request: Request, body: requests.ThreadCreate) -> Response:
        """Make a thread, if asked for with a history."""
        steps = [step.model_dump(exclude_unset=True) for step in body.supersteps]
        made = await self._threads.create(
            caller_of(request),
            thread_id=body.thread_id,
            metadata=body.metadata,
            if_exists=body.if_exists,
            supersteps=steps,
        )
        return reply(thread_json(made))

    async def search(self, request: Request, body: requests.ThreadSearch) -> Response:
        """Find threads."""
        extract = {alias: extract_path(path) for alias, path in (body.extract or {}).items()}
        page = await self._threads.search(caller_of(request), _query(body))
        rows = [found_thread_json(row, body.select, extract) for row in page.rows]
        return reply(rows, headers=page_headers(page, body.offset))

    async def count(self, request: Request, body: requests.ThreadSearch) -> Response:
        """Count threads."""
        return reply((await self._threads.search(caller_of(request), _query(body))).total)

    async def prune(self, request: Request, body: requests.ThreadPrune) -> Response:
        """Delete threads, or all but the latest of their checkpoints."""
        pruned = await self._threads.prune(caller_of(request), body.thread_ids, strategy=body.strategy)
        return reply({"pruned_count": pruned})

    async def get(self, request: Request, thread_id: str) -> Response:
        """One thread."""
        return reply(thread_json(await self._threads.get(caller_of(request), path_id(thread_id))))

    async def patch(
        self,
        request: Request,
        thread_id: str,
        body: requests.ThreadPatch,
        prefer: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Merge metadata into the thread's."""
        changed = await self._threads.patch(caller_of(request), path_id(thread_id), metadata=body.metadata)
        return no_content() if prefer == "return=minimal" else reply(thread_json(changed))

    async def delete(self, request: Request, thread_id: str) -> Response:
        """Remove a thread, its runs and its checkpoints."""
        await self._threads.delete(caller_of(request), path_id(thread_id))
        return no_content()

    async def copy(self, request: Request, thread_id: str) -> Response:
        """A new thread with the same checkpoints."""
        copied = thread_json(await self._threads.copy(caller_of(request), path_id(thread_id)))
        del copied["values"]
        return reply(copied)

    async def state(
        self,
        request: Request,
        thread_id: str,
        subgraphs: bool = False,
        select: Columns = None,
    ) -> Response:
        """The thread's state."""
        found = await self._states.get(caller_of(request), path_id(thread_id), checkpoint=None, subgraphs=subgraphs)
        return reply(selected(dict(found), requests.listed(select)))

    async def state_at_id(
        self,
        request: Request,
        thread_id: str,
        checkpoint_id: str,
        subgraphs: bool = False,
        select: Columns = None,
    ) -> Response:
        """The thread's state at a checkpoint, by its id."""
        found = await self._states.get(
            caller_of(request),
            path_id(thread_id),
            checkpoint={"checkpoint_id": path_id(checkpoint_id)},
            subgraphs=subgraphs,
        )
        return reply(selected(dict(found), requests.listed(select)))

    async def state_at(self, request: Request, thread_id: str, body: requests.StateAtCheckpoint) -> Response:
        """The thread's state at a checkpoint, by its place."""
        found = await self._states.get(
            caller_of(request), path_id(thread_id), checkpoint=body.checkpoint.place(), subgraphs=body.subgraphs
        )
        return reply(selected(dict(found), body.select))

    async def update_state(self, request: Request, thread_id: str, body: requests.StateUpdate) -> Response:
        """Write a checkpoint, as if a node had returned the values."""
        checkpoint = body.checkpoint.place() if body.checkpoint else {}
        if body.checkpoint_id is not None:
            checkpoint["checkpoint_id"] = body.checkpoint_id
        where = await self._states.update(
            caller_of(request), path_id(thread_id), values=body.values, as_node=body.as_node, checkpoint=checkpoint
        )
        return reply({"checkpoint": where, "configurable": where, "checkpoint_id": where["checkpoint_id"]})

    async def patch_state(self, request: Request, thread_id: str, body: requests.StatePatch) -> Response:
        """Merge metadata into the thread's."""
        changed = await self._threads.patch(caller_of(request), path_id(thread_id), metadata=body.metadata)
        return reply(thread_json(changed))

    async def history(
        self,
        request: Request,
        thread_id: str,
        limit: requests.Limit = 10,
        before: str | None = None,
    ) -> Response:
        """The thread's states, newest first."""
        found = await self._states.history(
            caller_of(request),
            path_id(thread_id),
            limit=limit,
            before={"checkpoint_id": before} if before else None,
            metadata=None,
            checkpoint=None,
        )
        return reply(found)

    async def search_history(self, request: Request, thread_id: str, body: requests.HistorySearch) -> Response:
        """The thread's states that match, newest first."""
        found = await self._states.history(
            caller_of(request),
            path_id(thread_id),
            limit=body.limit,
            before=body.before.place() if body.before else None,
            metadata=body.metadata,
            checkpoint=body.checkpoint.place() if body.checkpoint else None,
        )
        return reply([selected(dict(state), body.select) for state in found])


def _query(body: requests.ThreadSearch) -> ThreadQuery:
    return ThreadQuery(**body.model_dump(exclude={"select", "extract"}))
