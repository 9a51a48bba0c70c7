"""The server about itself."""

from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from fast_graph.api.present import reply
from fast_graph.api.routing import Routes

ALIVE = {"ok": True, "services": {}}


class MetaRoutes:
    """The handlers of the server itself."""

    def __init__(self, docs_url: str | None, *, health: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        self._docs_url = docs_url
        self._health = health

    def add_to(self, router: APIRouter) -> None:
        """Add all of them, under their paths."""
        routes = Routes(router, "meta")
        routes.add("GET /ok", self.ok)
        routes.add("GET /health", self.health)
        # Some health checks send HEAD.
        routes.add("HEAD /ok", self.ok, include_in_schema=False)
        routes.add("HEAD /health", self.health, include_in_schema=False)
        routes.add("GET /info", self.info)
        routes.add("GET /", self.root, include_in_schema=False)

    async def ok(self) -> Response:
        """Is the server up?"""
        return reply(ALIVE)

    async def health(self) -> Response:
        """Are the server and what it relies on up? 503 if something of it is not."""
        services = await self._health()
        healthy = all(said == "ok" for said in services.values())
        found = {"status": "healthy" if healthy else "unhealthy", "ok": healthy, "services": services}
        return reply(found, status=200 if healthy else 503)

    async def info(self) -> Response:
        """Versions and features."""
        return reply(about())

    async def root(self, request: Request) -> Response:
        """Lead a person to the documentation, and tell a program that the server is up."""
        if self._docs_url and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(request.scope.get("root_path", "") + self._docs_url)
        return reply(ALIVE)


def about() -> dict[str, object]:
    """What clients ask before they begin."""
    return {
        "version": version("fast-graph"),
        "langgraph_py_version": version("langgraph"),
        "flags": {"assistants": True, "crons": False, "langsmith": False},
        "host": {
            "kind": "self-hosted",
            "project_id": None,
            "host_revision_id": None,
            "revision_id": None,
            "tenant_id": None,
        },
    }
