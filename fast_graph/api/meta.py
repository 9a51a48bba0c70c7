"""The server about itself."""

from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from fast_graph.api.present import reply
from fast_graph.api.routing import Route

ALIVE = {"ok": True, "services": {}}


def meta_router(docs_url: str | None) -> APIRouter:
    """``/ok``, ``/health``, ``/info``, and a useful ``/``."""
    router = APIRouter(route_class=Route, tags=["meta"])

    @router.get("/ok", summary="Is the server up?")
    async def ok() -> Response:
        return reply(ALIVE)

    @router.get("/health", summary="Is the server up? (the usual name)")
    async def health() -> Response:
        return reply({"status": "healthy", **ALIVE})

    @router.get("/info", summary="Versions and features")
    async def info() -> Response:
        return reply(about())

    @router.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        if docs_url and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(request.scope.get("root_path", "") + docs_url)
        return reply(ALIVE)

    return router


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
