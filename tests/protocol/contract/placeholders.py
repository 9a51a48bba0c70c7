"""What differs from one recording to the next (ids, times, versions) becomes a placeholder."""

import re
from collections import Counter
from typing import Any
from uuid import UUID, uuid5

NIL = "00000000-0000-0000-0000-000000000000"
GRAPH_NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
GRAPHS = ("echo", "chat", "hitl", "gate", "steps", "slow", "failing", "parent", "store", "context", "custom")
ASSISTANTS = {name: str(uuid5(GRAPH_NAMESPACE, name)) for name in GRAPHS}

ENVIRONMENT = frozenset({"version", "langgraph_py_version", "run_attempt_started_at"})
EARLIEST_MS = 1_500_000_000_000

UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME_TEXT = re.compile(r"20(?!00|30)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
EVENT_ID = re.compile(r"\b\d{13}-\d+(\.\d+)?\b")
HEX_TEXT = re.compile(r"\b[0-9a-f]{32}\b")


class Placeholders:
    """One recording's ids, numbered as they appear."""

    def __init__(self) -> None:
        self._names = {value: f"<assistant:{name}>" for name, value in ASSISTANTS.items()} | {NIL: "<nil>"}
        self._count: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """The text without what is of one recording alone."""
        text = UUID_TEXT.sub(lambda match: self._name("uuid", match.group()), text)
        text = TIME_TEXT.sub("<ts>", text)
        text = EVENT_ID.sub("<eid>", text)
        return HEX_TEXT.sub(lambda match: self._name("hex", match.group()), text)

    def _name(self, kind: str, value: str) -> str:
        if value not in self._names:
            self._count[kind] += 1
            self._names[value] = f"<{kind}:{self._count[kind]}>"
        return self._names[value]

    def value(self, value: Any, key: str | None = None) -> Any:
        """The same for JSON values."""
        if isinstance(value, dict):
            return {self.text(name): self.value(item, name) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, str):
            return "<env>" if key in ENVIRONMENT else self.text(value)
        if isinstance(value, int) and value > EARLIEST_MS:
            return "<ms>"
        return value
