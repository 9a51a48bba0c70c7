"""What of a recording matters to clients, and where two recordings differ in it."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.protocol.contract.driver import Step

VENDOR = frozenset({
    "__after_seconds__", "__event_streaming_v2", "__pregel_node_finished", "__request_start_time_ms__",
    "checkpoint_during", "host", "langgraph_api_url", "langgraph_api_version", "langgraph_auth_permissions",
    "langgraph_auth_user", "langgraph_auth_user_id", "langgraph_host", "langgraph_plan", "langgraph_py_version",
    "langgraph_request_id", "langgraph_version", "langsmith", "langsmith_session_name",
    "langsmith_tracing_replicas", "langsmith_tracing_session_on_runs", "lc_versions", "ls_integration",
    "ls_model_type", "ls_provider", "services", "user_id",
})  # fmt: skip
"""Bookkeeping of one server, which clients have no use for."""

WORDING = frozenset({"detail", "message", "error"})
"""Keys under which a refused request says why, each server in words of its own."""

NUMBERED = re.compile(r"<(uuid|hex):\d+>")


@dataclass(frozen=True)
class Difference:
    """One place where a step is not as recorded."""

    path: str
    """Such as ``2.body.status``: in the third step, the body's status."""
    recorded: str
    seen: str

    def __str__(self) -> str:
        return f"{self.path}: recorded {self.recorded}, seen {self.seen}"


def client_view(steps: Sequence[Step]) -> list[Step]:
    """The steps with less in them: no bookkeeping, no wording of refusals, ids numbered anew."""
    renumber = Renumbering()
    return [renumber.value(_stripped_step(step)) for step in steps]


def _stripped_step(step: Step) -> Step:
    refused = step.get("status", 200) >= 400
    kept = {key: _stripped(item, refused=refused) if key in ("body", "frames") else item for key, item in step.items()}
    if refused and isinstance(kept["body"], str):
        kept["body"] = "<text>"
    return kept


def _stripped(value: Any, *, refused: bool) -> Any:
    if isinstance(value, dict):
        return {
            key: "<text>" if refused and key in WORDING and isinstance(item, str) else _stripped(item, refused=refused)
            for key, item in value.items()
            if key not in VENDOR
        }
    if isinstance(value, list):
        return [_stripped(item, refused=refused) for item in value]
    return value


class Renumbering:
    """Numbers the placeholders by their first appearance, whatever order the keys came in."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._count: Counter[str] = Counter()

    def value(self, value: Any) -> Any:
        """The value with new numbers."""
        if isinstance(value, dict):
            keys = sorted(value, key=lambda key: (NUMBERED.search(key) is not None, key))
            return {NUMBERED.sub(self._name, key): self.value(value[key]) for key in keys}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return NUMBERED.sub(self._name, value) if isinstance(value, str) else value

    def _name(self, match: re.Match[str]) -> str:
        if match.group() not in self._names:
            self._count[match.group(1)] += 1
            self._names[match.group()] = f"<{match.group(1)}:{self._count[match.group(1)]}>"
        return self._names[match.group()]


def differences(recorded: Sequence[Step], seen: Sequence[Step]) -> list[Difference]:
    """Where the second differs from the first."""
    return list(_in_lists(recorded, seen, ""))


def _in_values(recorded: Any, seen: Any, path: str) -> Iterator[Difference]:
    if isinstance(recorded, dict) and isinstance(seen, dict):
        yield from _in_objects(recorded, seen, path)
    elif isinstance(recorded, list) and isinstance(seen, list):
        yield from _in_lists(recorded, seen, path)
    elif _kind(recorded) is not _kind(seen) or recorded != seen:
        yield Difference(path, _brief(recorded), _brief(seen))


def _in_objects(recorded: dict[str, Any], seen: dict[str, Any], path: str) -> Iterator[Difference]:
    for key in recorded.keys() | seen.keys():
        if key not in seen:
            yield Difference(_join(path, key), _brief(recorded[key]), "nothing")
        elif key not in recorded:
            yield Difference(_join(path, key), "nothing", _brief(seen[key]))
        else:
            yield from _in_values(recorded[key], seen[key], _join(path, key))


def _in_lists(recorded: Sequence[Any], seen: Sequence[Any], path: str) -> Iterator[Difference]:
    if len(recorded) != len(seen):
        yield Difference(_join(path, "length"), str(len(recorded)), f"{len(seen)}: {_brief(seen)}")
    for index, (one, other) in enumerate(zip(recorded, seen, strict=False)):
        yield from _in_values(one, other, _join(path, str(index)))


def _join(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


def _kind(value: Any) -> type[Any]:
    """The JSON type; whole numbers and others are the same there."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 90 else text[:87] + "..."
