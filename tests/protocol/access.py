"""Every operation of the API, and what comes of it for the one whose thing it is, and for somebody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GONE = {"__error__": {"error": "HTTPException", "message": "404: Run not found"}}
GONE_EVENT = 'event: error\r\ndata: {"error":"HTTPException","message":"404: Run not found"}\r\n\r\n'
RUN = {"assistant_id": "{assistant_id}", "input": {}}
ITEM = {"namespace": ["notes"], "key": "k"}


@dataclass(frozen=True, kw_only=True)
class Access:
    """What to ask for, and the status that each gets. Names in braces are those of the owner's things."""

    owner: int = 200
    other: int = 404
    body: Any = None
    query: str = ""
    path: str | None = None
    """Where it is other than the operation's own, with the owner's ids."""
    says: Any = None
    """What somebody else is told, where it is no error."""


LATER = "/threads/later/runs/{pending}"

ACCESS: Mapping[str, Access] = {
    # Runs: of an assistant that is the owner's
    "POST /runs": Access(body=RUN),
    "POST /runs/stream": Access(body=RUN),
    "POST /runs/wait": Access(body=RUN),
    "POST /runs/batch": Access(body=[RUN, RUN]),
    "POST /runs/cancel": Access(owner=204, body={"status": "all"}),
    "GET /runs/{run_id}": Access(),
    "GET /runs/{run_id}/join": Access(other=200, says=GONE),
    "GET /runs/{run_id}/stream": Access(other=200, says=GONE_EVENT),
    "POST /runs/{run_id}/cancel": Access(owner=202, path="/runs/{pending}/cancel"),
    "GET /threads/{thread_id}/runs": Access(),
    # and of one that is everybody's, on a thread that is the owner's
    "POST /threads/{thread_id}/runs": Access(body={**RUN, "assistant_id": "echo"}),
    "POST /threads/{thread_id}/runs/stream": Access(body={**RUN, "assistant_id": "echo", "if_not_exists": "create"}),
    "POST /threads/{thread_id}/runs/wait": Access(
        body={**RUN, "assistant_id": "echo", "multitask_strategy": "rollback", "if_not_exists": "create"}
    ),
    "GET /threads/{thread_id}/runs/{run_id}": Access(),
    "DELETE /threads/{thread_id}/runs/{run_id}": Access(owner=204),
    "GET /threads/{thread_id}/runs/{run_id}/join": Access(other=200, says=GONE),
    "GET /threads/{thread_id}/runs/{run_id}/stream": Access(other=200, says=GONE_EVENT),
    "POST /threads/{thread_id}/runs/{run_id}/cancel": Access(owner=202, path=f"{LATER}/cancel"),
    # Threads
    "POST /threads": Access(other=409, body={"thread_id": "{thread_id}", "if_exists": "do_nothing"}),
    "POST /threads/search": Access(other=200, body={}, says=[]),
    "POST /threads/count": Access(other=200, body={"ids": ["{thread_id}"]}, says=0),
    "POST /threads/prune": Access(other=200, body={"thread_ids": ["{thread_id}"]}, says={"pruned_count": 0}),
    "GET /threads/{thread_id}": Access(),
    "PATCH /threads/{thread_id}": Access(body={"metadata": {"a": 1}}),
    "DELETE /threads/{thread_id}": Access(owner=204),
    "POST /threads/{thread_id}/copy": Access(other=409),
    "GET /threads/{thread_id}/state": Access(),
    "POST /threads/{thread_id}/state": Access(body={"values": {"messages": []}, "as_node": "echo"}),
    "PATCH /threads/{thread_id}/state": Access(body={"metadata": {"a": 1}}),
    "POST /threads/{thread_id}/state/checkpoint": Access(body={"checkpoint": {"checkpoint_id": "{checkpoint_id}"}}),
    "GET /threads/{thread_id}/state/{checkpoint_id}": Access(),
    "GET /threads/{thread_id}/history": Access(),
    "POST /threads/{thread_id}/history": Access(body={}),
    # The store: each has a place of their own, where the same name is another thing
    "PUT /store/items": Access(owner=204, other=204, body={**ITEM, "value": {"by": "whoever asks"}}),
    "GET /store/items": Access(other=200, query="namespace=notes&key=k"),
    "DELETE /store/items": Access(owner=204, other=204, body=ITEM),
    "POST /store/items/search": Access(other=200, body={}, says={"items": []}),
    "POST /store/namespaces": Access(other=200, body={}, says={"namespaces": []}),
    # Assistants
    "POST /assistants": Access(
        other=409, body={"graph_id": "echo", "assistant_id": "{assistant_id}", "if_exists": "do_nothing"}
    ),
    "POST /assistants/search": Access(other=200, body={"metadata": {"kind": "private"}}, says=[]),
    "POST /assistants/count": Access(other=200, body={"metadata": {"kind": "private"}}, says=0),
    "GET /assistants/{assistant_id}": Access(),
    "PATCH /assistants/{assistant_id}": Access(body={"name": "changed"}),
    "DELETE /assistants/{assistant_id}": Access(owner=204, query="delete_threads=true"),
    "GET /assistants/{assistant_id}/graph": Access(),
    "GET /assistants/{assistant_id}/schemas": Access(),
    "GET /assistants/{assistant_id}/subgraphs": Access(),
    "GET /assistants/{assistant_id}/subgraphs/{namespace}": Access(),
    "POST /assistants/{assistant_id}/versions": Access(body={}),
    "POST /assistants/{assistant_id}/latest": Access(body={"version": 1}),
}

OPEN = ("GET /ok", "HEAD /ok", "GET /health", "HEAD /health", "GET /info", "GET /")
"""Operations for which nobody is asked who they are."""


def filled(template: Any, things: Mapping[str, str]) -> Any:
    """The template with the names of the owner's things in place of the braces."""
    if isinstance(template, str):
        return template.format_map(things)
    if isinstance(template, dict):
        return {key: filled(value, things) for key, value in template.items()}
    return [filled(one, things) for one in template] if isinstance(template, list) else template
