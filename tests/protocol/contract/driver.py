"""Drives a server through a case and keeps what a client gets to see."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import httpx

from tests.protocol.contract.placeholders import Placeholders

Step = dict[str, Any]
"""What was asked for (``request``) and what came of it (``status``, ``headers``, and ``body`` or ``frames``)."""
Params = Mapping[str, str | int] | Sequence[tuple[str, str]]

HEADERS = (
    "content-type", "location", "content-location", "x-pagination-total", "x-pagination-next", "cache-control",
    "access-control-allow-origin", "access-control-expose-headers",
)  # fmt: skip
PATIENCE = 30
"""Seconds after which something that should happen is taken not to."""


class Driver:
    """One case: its requests, and the steps recorded of them."""

    def __init__(self, client: httpx.Client) -> None:
        self.steps: list[Step] = []
        self._client = client
        self._placeholders = Placeholders()

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a request, record the answer."""
        response = self._send(method, path, body, **options)
        self._record(method, path, response)
        return content_of(response)

    def quiet(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a request that only prepares or looks."""
        return content_of(self._send(method, path, body, **options))

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        if content is not None:
            headers = {"content-type": "application/json", **(headers or {})}
        sent: Any = params if not isinstance(params, Sequence) else list(params)
        return self._client.request(method, path, json=body, params=sent, headers=headers, content=content)

    def _record(self, method: str, path: str, response: httpx.Response) -> None:
        streamed = is_stream(response)
        step: Step = {
            "request": self._placeholders.text(f"{method} {path}"),
            "status": response.status_code,
            "headers": {
                name: self._placeholders.text(response.headers[name]) for name in HEADERS if name in response.headers
            },
            "frames" if streamed else "body": self._placeholders.value(content_of(response)),
        }
        if streamed:
            step["crlf"] = "\r\n" in response.text
        self.steps.append(step)

    def note(self, label: str, value: Any) -> None:
        """Record something that was looked up on the side."""
        self.steps.append({"request": f"SUMMARY {label}", "body": self._placeholders.value(value)})

    def leave(self, thread: str, body: Any) -> None:
        """Start a run, read the first of its stream, and hang up."""
        path = f"/threads/{thread}/runs/stream"
        with (
            httpx.Client(base_url=self._client.base_url, timeout=PATIENCE) as client,
            client.stream("POST", path, json=body) as response,
        ):
            next(response.iter_raw())

    # What cases have in common

    def thread(self, **body: Any) -> str:
        """A new thread's id."""
        return str(self.quiet("POST", "/threads", body)["thread_id"])

    def assistant(self, graph: str = "echo", **body: Any) -> str:
        """A new assistant's id."""
        return str(self.quiet("POST", "/assistants", {"graph_id": graph, **body})["assistant_id"])

    def run(self, thread: str, graph: str, given: Any, **body: Any) -> Any:
        """The final values of a run."""
        return self.quiet("POST", f"/threads/{thread}/runs/wait", {"assistant_id": graph, "input": given, **body})

    def background(self, thread: str, graph: str = "slow", given: Any = None, **body: Any) -> str:
        """The id of a run in the background."""
        given = {"log": []} if given is None else given
        made = self.quiet("POST", f"/threads/{thread}/runs", {"assistant_id": graph, "input": given, **body})
        return str(made["run_id"])

    def until_running(self, thread: str, run: str) -> None:
        """Wait until a worker has taken the run up; nothing but the run's row tells."""
        given_up_at = time.monotonic() + PATIENCE
        while self.quiet("GET", f"/threads/{thread}/runs/{run}").get("status") != "running":
            assert time.monotonic() < given_up_at, "the run was not taken up"
            time.sleep(0.02)

    def until_over(self, thread: str, run: str) -> None:
        """Wait until the run has ended, or is gone."""
        self.quiet("GET", f"/threads/{thread}/runs/{run}/join")

    def status(self, thread: str, run: str) -> str:
        """The run's status."""
        return str(self.quiet("GET", f"/threads/{thread}/runs/{run}")["status"])

    def note_runs(self, thread: str) -> None:
        """Record the runs of a thread, briefly."""
        rows = self.quiet("GET", f"/threads/{thread}/runs")
        columns = ("run_id", "status", "multitask_strategy")
        self.note("runs of the thread (newest first)", [{name: row.get(name) for name in columns} for row in rows])

    def note_thread(self, thread: str, label: str = "thread") -> None:
        """Record how a thread stands, briefly."""
        row = self.quiet("GET", f"/threads/{thread}")
        self.note(label, {name: row.get(name) for name in ("status", "values", "interrupts", "error", "detail")})


Case = Callable[[Driver], None]


def drive(base: str, case: Case) -> list[Step]:
    """The steps of a case on the server at that address."""
    with httpx.Client(base_url=base, timeout=PATIENCE) as client:
        driver = Driver(client)
        case(driver)
        return driver.steps


def content_of(response: httpx.Response) -> Any:
    """The frames of a stream, else the JSON, else the text."""
    if is_stream(response):
        return frames_of(response.text)
    try:
        return response.json()
    except ValueError:
        return response.text


def is_stream(response: httpx.Response) -> bool:
    """Whether these are server-sent events."""
    return "event-stream" in response.headers.get("content-type", "")


def frames_of(text: str) -> list[dict[str, Any]]:
    """Server-sent events, less the comments."""
    frames = (frame_of(block) for block in re.split(r"\r\n\r\n|\n\n", text))
    return [frame for frame in frames if frame]


def frame_of(block: str) -> dict[str, Any]:
    """One event's fields; its data as JSON."""
    fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
    return {name: json.loads(value) if name == "data" else value for name, value in fields.items()}


def unique() -> str:
    """A word that no other case uses."""
    return str(uuid4())
