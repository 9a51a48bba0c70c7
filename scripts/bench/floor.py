"""The physical limit: the same graphs behind bare Starlette. No runs, no queue, no resuming, no cancelling."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import orjson
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from scripts.bench.graphs import BUILDERS

ALONE = {name: builder.compile() for name, builder in BUILDERS.items()}
SAVED = {name: builder.compile(checkpointer=InMemorySaver()) for name, builder in BUILDERS.items()}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """With ``FLOOR_POSTGRES``, checkpoints go to that database, through LangGraph's own saver."""
    url = os.environ.get("FLOOR_POSTGRES")
    if url is None:
        yield
        return
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(url, max_size=16, kwargs=options) as pool:
        saver = AsyncPostgresSaver(cast(Any, pool))
        await saver.setup()
        SAVED.update({name: builder.compile(checkpointer=saver) for name, builder in BUILDERS.items()})
        yield


def _plain(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return value.model_dump()
    raise TypeError(type(value).__name__)


def _reply(value: Any) -> Response:
    return Response(orjson.dumps(value, default=_plain), media_type="application/json")


def _config(request: Request) -> Any:
    return {"configurable": {"thread_id": request.path_params.get("thread")}}


async def ok(request: Request) -> Response:
    """Ready."""
    return _reply({"ok": True})


async def thread(request: Request) -> Response:
    """An id is all there is to a thread here."""
    return _reply({"thread_id": str(uuid4())})


async def wait(request: Request) -> Response:
    """Run the graph and answer with its values."""
    body = orjson.loads(await request.body())
    graphs = SAVED if "thread" in request.path_params else ALONE
    return _reply(await graphs[body["assistant_id"]].ainvoke(body["input"], _config(request)))


async def state(request: Request) -> Response:
    """The values of a thread."""
    snapshot = await SAVED["echo"].aget_state(_config(request))
    return _reply({"values": snapshot.values, "next": snapshot.next})


async def stream(request: Request) -> Response:
    """Run the graph and pass on each chunk."""
    body = orjson.loads(await request.body())
    modes = [mode.removesuffix("-tuple") for mode in body["stream_mode"]]

    async def frames() -> AsyncIterator[bytes]:
        chunks = SAVED[body["assistant_id"]].astream(body["input"], _config(request), stream_mode=modes)
        async for mode, chunk in chunks:
            yield b"event: %b\ndata: %b\n\n" % (str(mode).encode(), orjson.dumps(chunk, default=_plain))

    return StreamingResponse(frames(), media_type="text/event-stream")


app = Starlette(
    routes=[
        Route("/ok", ok),
        Route("/threads", thread, methods=["POST"]),
        Route("/runs/wait", wait, methods=["POST"]),
        Route("/threads/{thread}/runs/wait", wait, methods=["POST"]),
        Route("/threads/{thread}/runs/stream", stream, methods=["POST"]),
        Route("/threads/{thread}/state", state),
    ],
    lifespan=lifespan,
)
