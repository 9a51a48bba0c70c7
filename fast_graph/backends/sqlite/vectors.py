"""Which texts of items are found by their meaning, and the vectors that stand for them."""

import math
import sqlite3
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from langgraph.store.base import IndexConfig, Op, PutOp, SearchOp, ensure_embeddings, get_text_at_path

Vector = bytes
"""Of length 1, as 32-bit floats: what LangGraph's table of vectors holds."""


@dataclass(frozen=True)
class Embedded:
    """The vectors that a batch of operations needs."""

    texts: Mapping[str, Vector]
    """Of what is put, by its text."""
    queries: Mapping[str, Vector]
    """Of what is searched for."""


NOTHING = Embedded({}, {})


class Vectors:
    """The texts of operations, and their vectors by the embeddings of an index configuration."""

    def __init__(self, config: IndexConfig) -> None:
        self._embeddings = ensure_embeddings(config.get("embed"))
        self._fields = config.get("fields") or ["$"]

    def texts(self, op: PutOp) -> Sequence[tuple[str, str]]:
        """What to embed of a value: each text with the name of its field."""
        if op.value is None or op.index is False:
            return []
        found = []
        for field in self._fields if op.index is None else op.index:
            texts = get_text_at_path(op.value, field)
            names = [field] if len(texts) == 1 else [f"{field}.{number}" for number in range(len(texts))]
            found += list(zip(names, texts, strict=True))
        return found

    async def aembed(self, ops: Sequence[Op]) -> Embedded:
        """The vectors of all that the operations say or ask for."""
        texts, queries = self._kept(ops), _asked(ops)
        vectors = await self._embeddings.aembed_documents(texts) if texts else []
        asked = [await self._embeddings.aembed_query(query) for query in queries]
        return Embedded(_serialized(texts, vectors), _serialized(queries, asked))

    def embed(self, ops: Sequence[Op]) -> Embedded:
        """The same, for threads without an event loop."""
        texts, queries = self._kept(ops), _asked(ops)
        vectors = self._embeddings.embed_documents(texts) if texts else []
        asked = [self._embeddings.embed_query(query) for query in queries]
        return Embedded(_serialized(texts, vectors), _serialized(queries, asked))

    def _kept(self, ops: Iterable[Op]) -> list[str]:
        return list({text: None for op in ops if isinstance(op, PutOp) for _, text in self.texts(op)})


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the function that compares vectors. Not every Python's SQLite can load an extension for it."""
    connection.create_function("fast_graph_similarity", 2, similarity, deterministic=True)


def similarity(one: Vector | None, other: Vector) -> float | None:
    """The cosine of the angle between two vectors; ``None`` if they cannot be compared."""
    if one is None or len(one) != len(other):
        return None
    return float(sum(map(mul, memoryview(one).cast("f"), memoryview(other).cast("f"))))


def _asked(ops: Iterable[Op]) -> list[str]:
    return list({op.query: None for op in ops if isinstance(op, SearchOp) and op.query})


def _serialized(texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> dict[str, Vector]:
    return {text: _unit(vector) for text, vector in zip(texts, vectors, strict=True)}


def _unit(vector: Sequence[float]) -> Vector:
    length = math.hypot(*vector) or 1.0
    return array("f", [number / length for number in vector]).tobytes()
