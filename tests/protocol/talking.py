"""Short forms of what most tests do through the official client."""

from collections.abc import Sequence
from typing import Any, cast

from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.schema import Run, StreamPart

HELLO = {"messages": [{"role": "user", "content": "hi", "id": "u1"}]}


async def new_thread(client: LangGraphClient, **options: Any) -> str:
    """A new thread's id."""
    return (await client.threads.create(**options))["thread_id"]


async def final(client: LangGraphClient, thread: str | None, graph: str, given: Any = None, **options: Any) -> Any:
    """The final values of a run; the error itself if it fails."""
    runs: Any = client.runs
    return await runs.wait(thread, graph, input=given, raise_error=False, **options)


async def started(client: LangGraphClient, thread: str, graph: str, given: Any = None, **options: Any) -> Run:
    """A run in the background."""
    return await client.runs.create(thread, graph, input=given, **options)


async def streamed(
    client: LangGraphClient, thread: str | None, graph: str, given: Any, modes: Sequence[str], **options: Any
) -> list[StreamPart]:
    """Everything that a run streams."""
    runs: Any = client.runs
    parts = runs.stream(thread, graph, input=given, stream_mode=list(modes), **options)
    return [part async for part in parts]


def data_of(parts: Sequence[StreamPart], event: str) -> list[Any]:
    """What was said under one event."""
    return [part.data for part in parts if part.event == event]


async def state_of(client: LangGraphClient, thread: str, **options: Any) -> dict[str, Any]:
    """A thread's state."""
    return cast("dict[str, Any]", await client.threads.get_state(thread, **options))


async def history_of(client: LangGraphClient, thread: str, **options: Any) -> list[dict[str, Any]]:
    """A thread's states, newest first."""
    return cast("list[dict[str, Any]]", await client.threads.get_history(thread, **options))


async def thread_of(client: LangGraphClient, thread: str) -> dict[str, Any]:
    """A thread's row."""
    return cast("dict[str, Any]", await client.threads.get(thread))


async def assistant_of(client: LangGraphClient, graph: str = "echo", **options: Any) -> dict[str, Any]:
    """A new assistant."""
    return cast("dict[str, Any]", await client.assistants.create(graph, **options))
