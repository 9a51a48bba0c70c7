"""Records in the form clients know."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from fastapi import Response
from langgraph.store.base import Item, SearchItem

from fast_graph.graphs.config import USER_KEY
from fast_graph.graphs.serde import decode, encode
from fast_graph.model.errors import InvalidError
from fast_graph.model.records import Assistant, Json, Page, Run, Thread

EXTRACT_ROOTS = ("config", "interrupts", "metadata", "values")


def reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(encode(value), status_code=status, media_type="application/json", headers=headers)


def no_content() -> Response:
    """An empty response."""
    return Response(status_code=204)


def page_headers(page: Page[Any], offset: int) -> dict[str, str]:
    """How many rows match, and where the next page begins if there is one."""
    after = offset + len(page.rows)
    headers = {"x-pagination-total": str(page.total)}
    if after < page.total:
        headers["x-pagination-next"] = str(after)
    return headers


def selected(row: dict[str, Any], columns: Sequence[str] | None) -> dict[str, Any]:
    """Only the columns asked for, as far as the row has them."""
    return row if columns is None else {name: row[name] for name in columns if name in row}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def assistant_json(assistant: Assistant) -> dict[str, Any]:
    """An assistant."""
    return {
        "assistant_id": assistant.assistant_id,
        "graph_id": assistant.graph_id,
        "config": assistant.config,
        "context": assistant.context,
        "metadata": assistant.metadata,
        "name": assistant.name,
        "created_at": _time(assistant.created_at),
        "updated_at": _time(assistant.updated_at),
        "version": assistant.version,
        "description": assistant.description,
    }


def version_json(assistant: Assistant) -> dict[str, Any]:
    """One version of an assistant."""
    row = assistant_json(assistant)
    del row["updated_at"]
    return row


def thread_json(thread: Thread) -> dict[str, Any]:
    """A thread. Errors and interrupts show once something has happened on it."""
    row: dict[str, Any] = {
        "thread_id": thread.thread_id,
        "created_at": _time(thread.created_at),
        "updated_at": _time(thread.updated_at),
        "state_updated_at": _time(thread.state_updated_at),
        "metadata": thread.metadata,
        "status": thread.status,
        "config": thread.config,
        "values": None if thread.values is None else orjson.Fragment(thread.values),
    }
    if thread.touched:
        row["error"] = asdict(thread.error) if thread.error else None
    if thread.interrupts is not None:
        row["interrupts"] = thread.interrupts
    return row


def found_thread_json(
    thread: Thread, columns: Sequence[str] | None, extract: Mapping[str, Sequence[str | int]] | None
) -> dict[str, Any]:
    """A thread among search results: the columns asked for, and values picked out of it."""
    row = selected(thread_json(thread), columns)
    if extract:
        row["extracted"] = _extracted(thread, extract)
    return row


def extract_path(path: str) -> Sequence[str | int]:
    """``values.log[0]`` as its steps. Raises InvalidError unless it begins at a column that can be picked from."""
    steps = [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(-?\d{1,9})\]", path)]
    if not steps or steps[0] not in EXTRACT_ROOTS:
        raise InvalidError(f"An extract path begins with {', '.join(EXTRACT_ROOTS)}; '{path}' does not")
    return steps


def _extracted(thread: Thread, extract: Mapping[str, Sequence[str | int]]) -> Json:
    source = {
        "values": None if thread.values is None else decode(thread.values),
        "metadata": thread.metadata,
        "config": thread.config,
        "interrupts": thread.interrupts,
    }
    return {alias: _follow(source, steps) for alias, steps in extract.items()}


def _follow(value: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def run_json(run: Run) -> dict[str, Any]:
    """A run. Once it was claimed, its config's metadata tells the attempt. What is known of its user is the graph's."""
    kwargs: Any = orjson.Fragment(run.kwargs)
    if run.attempt or USER_KEY.encode() in run.kwargs:
        kwargs = decode(run.kwargs)
        kwargs["config"]["configurable"].pop(USER_KEY, None)
    if run.attempt:
        kwargs["config"]["metadata"]["run_attempt"] = run.attempt
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "metadata": run.metadata,
        "status": run.status,
        "kwargs": kwargs,
        "multitask_strategy": run.multitask_strategy,
        "created_at": _time(run.created_at),
        "updated_at": _time(run.updated_at),
        "langsmith_session_name": None,
    }


def item_json(item: Item) -> dict[str, Any]:
    """An item of the store, with its score among search results."""
    row: dict[str, Any] = {
        "namespace": list(item.namespace),
        "key": item.key,
        "value": item.value,
        "created_at": _time(item.created_at),
        "updated_at": _time(item.updated_at),
    }
    if isinstance(item, SearchItem):
        row["score"] = item.score
    return row
