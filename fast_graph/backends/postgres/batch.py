"""Checkpoints on their way to the database: any number of them, stored by one statement."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fast_graph.backends.postgres.direct import Written

Place = tuple[str, str, str]
"""A checkpoint: its thread, its namespace, its id."""

HELD = """
WITH held AS (
    SELECT 1 FROM fast_graph_runs WHERE run_id = %(run_id)s::text AND token = %(token)s AND status = 'running' FOR SHARE
)"""
ANYWAY = "WITH held AS (SELECT 1)"
STORE = """,
new_blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT b.* FROM held, unnest(
        %(b_thread)s::text[], %(b_ns)s::text[], %(b_channel)s::text[], %(b_version)s::text[], %(b_type)s::text[],
        %(b_blob)s::bytea[]
    ) AS b ON CONFLICT DO NOTHING
),
new_checkpoints AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    SELECT c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.parent_id, c.checkpoint::jsonb, c.metadata::jsonb
    FROM held, unnest(
        %(c_thread)s::text[], %(c_ns)s::text[], %(c_id)s::text[], %(c_parent)s::text[], %(c_checkpoint)s::text[],
        %(c_metadata)s::text[]
    ) AS c (thread_id, checkpoint_ns, checkpoint_id, parent_id, checkpoint, metadata)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
    DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
),
others AS (
    SELECT p.* FROM held, unnest(%(p_thread)s::text[], %(p_ns)s::text[], %(p_id)s::text[])
        AS p (thread_id, checkpoint_ns, checkpoint_id)
    JOIN checkpoints c USING (thread_id, checkpoint_ns, checkpoint_id)
    WHERE c.metadata ->> 'run_id' IS DISTINCT FROM %(run_id)s::text
),
old_undo AS (
    DELETE FROM fast_graph_undo u USING others o WHERE u.thread_id = o.thread_id AND u.run_id <> %(run_id)s::text
),
new_undo AS (
    INSERT INTO fast_graph_undo (run_id, thread_id, checkpoint_ns, checkpoint_id, writes)
    SELECT %(run_id)s::text, o.*, (
        SELECT coalesce(jsonb_agg(to_jsonb(w)), '[]') FROM checkpoint_writes w
        WHERE w.thread_id = o.thread_id AND w.checkpoint_ns = o.checkpoint_ns AND w.checkpoint_id = o.checkpoint_id
    ) FROM others o ON CONFLICT DO NOTHING
),
writes AS (
    SELECT w.* FROM held, unnest(
        %(w_thread)s::text[], %(w_ns)s::text[], %(w_id)s::text[], %(w_task)s::text[], %(w_idx)s::int[],
        %(w_path)s::text[], %(w_channel)s::text[], %(w_type)s::text[], %(w_blob)s::bytea[], %(w_replaces)s::bool[]
    ) AS w (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob, replaces)
),
replacing AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob)
    SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob
    FROM writes WHERE replaces
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob
),
adding AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob)
    SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob
    FROM writes WHERE NOT replaces
    ON CONFLICT DO NOTHING
)
SELECT count(*) AS held FROM held"""

STORE_HELD = Written(HELD + STORE)
"""Stores a batch if the run is still held under that token, and answers 1; else it stores nothing, and answers 0.

All parts see the database as it was before, so what is kept to be undone are the writes of then.
"""
STORE_ANYWAY = Written(ANYWAY + STORE)
"""The same, for those who hold no lease."""


class Checkpoint(NamedTuple):
    """A row of ``checkpoints``, without its place."""

    parent_id: str | None
    checkpoint: str
    metadata: str


class Write(NamedTuple):
    """A row of ``checkpoint_writes``, without its place."""

    task_path: str
    channel: str
    type: str
    blob: bytes
    replaces: bool
    """It takes the place of a write that is there already; LangGraph wants that of its special channels only."""


@dataclass
class Batch:
    """Rows that are stored together, each at most once."""

    checkpoints: dict[Place, Checkpoint] = field(default_factory=dict)
    blobs: dict[tuple[str, str, str, str], tuple[str, bytes | None]] = field(default_factory=dict)
    """By thread, namespace, channel and version."""
    writes: dict[tuple[str, str, str, str, int], Write] = field(default_factory=dict)
    """By thread, namespace, checkpoint, task and index."""
    size: int = field(init=False)
    """How many bytes of values it has, roughly."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    """Whoever stores it has succeeded, or given up."""

    def __post_init__(self) -> None:
        self.size = (
            sum(len(row.checkpoint) + len(row.metadata) for row in self.checkpoints.values())
            + sum(len(blob or b"") for _, blob in self.blobs.values())
            + sum(len(write.blob) for write in self.writes.values())
        )

    def add(self, later: "Batch") -> None:
        """Take over the rows of a later batch, as if it were stored after this one."""
        for place, row in later.checkpoints.items():
            earlier = self.checkpoints.get(place)
            self.checkpoints[place] = row if earlier is None else row._replace(parent_id=earlier.parent_id)
        for version, blob in later.blobs.items():
            self.blobs.setdefault(version, blob)
        for key, write in later.writes.items():
            if write.replaces or key not in self.writes:
                self.writes[key] = write
        self.size += later.size

    def touches(self, thread_id: str | None, namespace: str | None) -> bool:
        """Whether it has a row of that thread and namespace; None is any."""
        keys: Iterable[Sequence[Any]] = (*self.checkpoints, *self.writes)
        return any(thread_id in (None, key[0]) and namespace in (None, key[1]) for key in keys)

    def parameters(self, run_id: str | None, token: int | None) -> dict[str, Any]:
        """What the statements take. Only a known run can be undone."""
        touched = {key[:3] for key in self.writes} if run_id is not None else set()
        return {
            "run_id": run_id,
            "token": token,
            **_columns("b", ("thread", "ns", "channel", "version", "type", "blob"), self.blobs.items()),
            **_columns("c", ("thread", "ns", "id", "parent", "checkpoint", "metadata"), self.checkpoints.items()),
            **_columns("p", ("thread", "ns", "id"), ((place, ()) for place in touched - self.checkpoints.keys())),
            **_columns(
                "w",
                ("thread", "ns", "id", "task", "idx", "path", "channel", "type", "blob", "replaces"),
                self.writes.items(),
            ),
        }

    def __bool__(self) -> bool:
        return bool(self.checkpoints or self.writes)


def _columns(
    prefix: str, names: Sequence[str], rows: Iterable[tuple[Sequence[Any], Sequence[Any]]]
) -> dict[str, list[Any]]:
    columns = list(zip(*((*key, *row) for key, row in rows), strict=True)) or [()] * len(names)
    return {f"{prefix}_{name}": list(column) for name, column in zip(names, columns, strict=True)}


def is_plain(value: Any) -> bool:
    """Whether jsonb gives back exactly this value: then it is kept within the checkpoint, as LangGraph's saver does.

    It changes large floats, and cannot take NUL, lone surrogates, infinities, and subclasses such as enumerations.
    """
    if type(value) is str:
        return "\0" not in value and (value.isascii() or value.encode(errors="replace").decode() == value)
    if type(value) is float:
        return abs(value) < 1e16  # false for NaN as well
    return value is None or type(value) in (bool, int)


def to_json(value: Any) -> str:
    """JSON text for jsonb."""
    return json.dumps(value, allow_nan=False)
