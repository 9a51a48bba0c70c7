"""Who sends a request: asked at the door, before anything of its body is read."""

from typing import Annotated, Any

from fastapi import Request, Response, params
from fastapi.routing import APIRoute

from fast_graph.api.routing import Guard, path_id
from fast_graph.auth.credentials import Authenticator, Credentials, Headers, caller_from
from fast_graph.auth.policy import Caller


def by_credentials(authenticator: Authenticator) -> Guard:
    """Asks an authenticator of ours, or an authenticate function."""

    async def guard(request: Request) -> Caller:
        return await authenticator(_credentials(request))

    return guard


def _credentials(request: Request) -> Credentials:
    return Credentials(
        request=request,
        method=request.method,
        path=path_id(request.scope["path"]),
        path_params={name: path_id(value) for name, value in request.path_params.items()},
        query_params=request.query_params,
        headers=Headers(request.scope["headers"]),
        read_body=request.json,
    )


def by_dependency(dependency: params.Depends) -> Guard:
    """Asks a FastAPI dependency, which may have dependencies of its own."""

    async def keep(request: Request, found: Annotated[Any, dependency]) -> Response:
        request.state.fast_graph_found = found
        return Response()

    solve = APIRoute("/", keep).get_route_handler()

    async def guard(request: Request) -> Caller:
        await solve(request)
        return caller_from(request.state.fast_graph_found)

    return guard
