"""/assistants."""

import contextlib

from fastapi import APIRouter, Request, Response

from fast_graph.api import requests
from fast_graph.api.present import assistant_json, no_content, page_headers, reply, selected, version_json
from fast_graph.api.routing import Guard, Routes, caller_of, path_id
from fast_graph.model.errors import ForbiddenError, InvalidError, NotFoundError
from fast_graph.model.queries import AssistantQuery
from fast_graph.services.assistants import Assistants
from fast_graph.services.threads import Threads


class AssistantRoutes:
    """The handlers of assistants."""

    def __init__(self, assistants: Assistants, threads: Threads) -> None:
        self._assistants = assistants
        self._threads = threads

    def add_to(self, router: APIRouter, guard: Guard | None = None) -> None:
        """Add all of them, under their paths."""
        routes = Routes(router, "assistants", guard)
        one = "/assistants/{assistant_id}"
        routes.add("POST /assistants", self.create)
        routes.add("POST /assistants/search", self.search)
        routes.add("POST /assistants/count", self.count)
        routes.add(f"GET {one}", self.get)
        routes.add(f"PATCH {one}", self.patch)
        routes.add(f"DELETE {one}", self.delete, status_code=204)
        routes.add(f"GET {one}/graph", self.graph)
        routes.add(f"GET {one}/schemas", self.schemas)
        routes.add(f"GET {one}/subgraphs", self.subgraphs)
        routes.add(f"GET {one}/subgraphs/{{namespace}}", self.subgraph)
        routes.add(f"POST {one}/versions", self.versions)
        routes.add(f"POST {one}/latest", self.set_latest)

    async def create(self, request: Request, body: requests.AssistantCreate) -> Response:
        """Make an assistant: a graph with a name and a configuration."""
        made = await self._assistants.create(caller_of(request), **dict(body))
        return reply(assistant_json(made))

    async def search(self, request: Request, body: requests.AssistantSearch) -> Response:
        """Find assistants."""
        page = await self._assistants.search(caller_of(request), _query(body))
        rows = [selected(assistant_json(row), body.select) for row in page.rows]
        return reply(rows, headers=page_headers(page, body.offset))

    async def count(self, request: Request, body: requests.AssistantSearch) -> Response:
        """Count assistants."""
        return reply((await self._assistants.search(caller_of(request), _query(body))).total)

    async def get(self, request: Request, assistant_id: str) -> Response:
        """One assistant, by its id or its graph's name."""
        return reply(assistant_json(await self._assistants.get(caller_of(request), path_id(assistant_id))))

    async def patch(self, request: Request, assistant_id: str, body: requests.AssistantPatch) -> Response:
        """Change an assistant; makes a new version of it."""
        changes = body.model_dump(exclude_unset=True)
        return reply(assistant_json(await self._assistants.patch(caller_of(request), path_id(assistant_id), changes)))

    async def delete(self, request: Request, assistant_id: str, delete_threads: bool = False) -> Response:
        """Remove an assistant; on request, the threads it ran on last, too."""
        caller, reference = caller_of(request), path_id(assistant_id)
        theirs = await self._assistants.threads_of(caller, reference) if delete_threads else ()
        await self._assistants.delete(caller, reference)
        for thread_id in theirs:
            with contextlib.suppress(NotFoundError, ForbiddenError):
                await self._threads.delete(caller, thread_id)
        return no_content()

    async def graph(self, request: Request, assistant_id: str, xray: str = "false") -> Response:
        """The graph's nodes and edges."""
        drawn = await self._assistants.drawing(caller_of(request), path_id(assistant_id), xray=_xray(xray))
        return reply(drawn)

    async def schemas(self, request: Request, assistant_id: str) -> Response:
        """The graph's JSON schemas."""
        return reply(await self._assistants.schemas(caller_of(request), path_id(assistant_id)))

    async def subgraphs(self, request: Request, assistant_id: str, recurse: bool = False) -> Response:
        """The schemas of the graph's subgraphs."""
        caller = caller_of(request)
        return reply(await self._assistants.subgraphs(caller, path_id(assistant_id), None, recurse=recurse))

    async def subgraph(self, request: Request, assistant_id: str, namespace: str, recurse: bool = False) -> Response:
        """The schemas of one subgraph."""
        caller = caller_of(request)
        found = await self._assistants.subgraphs(caller, path_id(assistant_id), path_id(namespace), recurse=recurse)
        return reply(found)

    async def versions(self, request: Request, assistant_id: str, body: requests.AssistantVersions) -> Response:
        """The assistant's versions, newest first."""
        caller = caller_of(request)
        found = await self._assistants.versions(
            caller, path_id(assistant_id), metadata=body.metadata, limit=body.limit, offset=body.offset
        )
        return reply([version_json(row) for row in found])

    async def set_latest(self, request: Request, assistant_id: str, body: requests.AssistantVersion) -> Response:
        """Go back to an earlier version."""
        row = await self._assistants.set_latest(caller_of(request), path_id(assistant_id), body.version)
        return reply(assistant_json(row))


def _query(body: requests.AssistantSearch) -> AssistantQuery:
    return AssistantQuery(**body.model_dump(exclude={"select"}))


def _xray(text: str) -> int | bool:
    """``true``, ``false``, or how deep to look. Raises InvalidError."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not text.isdecimal() or len(text) > 3 or int(text) < 1:
        raise InvalidError(f"xray is true, false or a positive number, not {text!r}")
    return int(text)
