"""A tiny app: it says who it is, and tells a story whose end a test calls for."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


@asynccontextmanager
async def life(app: Starlette) -> AsyncIterator[None]:
    app.state.end = asyncio.Event()
    yield
    if "FAREWELL" in os.environ:
        say_farewell(Path(os.environ["FAREWELL"]))


def say_farewell(file: Path) -> None:
    file.write_text("goodbye")


async def who(request: Request) -> Response:
    return JSONResponse({"pid": os.getpid()})


async def story(request: Request) -> Response:
    async def told() -> AsyncIterator[str]:
        yield "data: once\n\n"
        await request.app.state.end.wait()
        yield "data: the end\n\n"

    return StreamingResponse(told(), media_type="text/event-stream")


async def end(request: Request) -> Response:
    """Ends the stories that are being told."""
    request.app.state.end.set()
    request.app.state.end.clear()
    return Response()


app = Starlette(routes=[Route("/who", who), Route("/story", story), Route("/end", end)], lifespan=life)
