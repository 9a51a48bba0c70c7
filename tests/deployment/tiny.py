"""A tiny app that stands for an instance: it says who it is and what it was told, and dies when asked to."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


@asynccontextmanager
async def life(app: Starlette) -> AsyncIterator[None]:
    app.state.end = asyncio.Event()
    yield


async def who(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"pid": os.getpid(), "headers": dict(request.headers), "size": len(body)})


async def story(request: Request) -> Response:
    async def told() -> AsyncIterator[str]:
        yield "data: once\n\n"
        await request.app.state.end.wait()
        yield "data: the end\n\n"

    return StreamingResponse(told(), media_type="text/event-stream")


async def end(request: Request) -> Response:
    """Ends the stories that are being told."""
    request.app.state.end.set()
    return Response()


async def refuse(request: Request) -> Response:
    note(f"{os.getpid()} refused")
    return Response(status_code=503, headers={"retry-after": "1"})


async def die(request: Request) -> Response:
    """A request that arrived, and is never answered."""
    note(f"{os.getpid()} died")
    os._exit(1)


def note(line: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(line + "\n")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"pid": os.getpid()})
    async for text in websocket.iter_text():
        await websocket.send_text(text)


app = Starlette(
    routes=[
        Route("/threads/{id}/story", story),
        Route("/threads/{id}/refuse", refuse, methods=["GET", "POST"]),
        Route("/threads/{id}/die", die, methods=["POST"]),
        Route("/end", end),
        WebSocketRoute("/ws/tasks/{id}", echo),
        Route("/{path:path}", who, methods=["GET", "POST"]),
    ],
    lifespan=life,
)
