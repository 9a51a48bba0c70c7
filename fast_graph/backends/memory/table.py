"""Rows of one kind, kept serialised: what is read is never what was written, as over a network."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

import orjson

from fast_graph.model.match import contains
from fast_graph.model.queries import Paging
from fast_graph.model.records import Json, Page

R = TypeVar("R")


class MetadataIndex:
    """Which rows have which plain value under which top-level metadata key."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, bool, Any], set[Any]] = {}

    def add(self, key: object, metadata: Json) -> None:
        """Note a row's metadata."""
        for term in _terms(metadata):
            self._rows.setdefault(term, set()).add(key)

    def remove(self, key: object, metadata: Json) -> None:
        """Forget a row's metadata."""
        for term in _terms(metadata):
            rows = self._rows[term]
            rows.discard(key)
            if not rows:
                del self._rows[term]

    def having(self, wanted: Json) -> set[Any] | None:
        """The rows that have every plain value of ``wanted``; ``None`` if it has none to look up."""
        sets = [self._rows.get(term, set()) for term in _terms(wanted)]
        return set.intersection(*sets) if sets else None


def _terms(metadata: Json) -> Iterator[tuple[str, bool, Any]]:
    return ((k, isinstance(v, bool), v) for k, v in metadata.items() if not isinstance(v, dict | list))


class Table(Generic[R]):
    """Frozen records by key, in the order they were added. Their JSON fields are kept as text.

    The first JSON field is the metadata, which is indexed.
    """

    def __init__(self, kind: type[R], key: str, json_fields: Sequence[str]) -> None:
        self._key = attrgetter(key)
        self._new = kind.__new__
        self._kind = kind
        self._json = tuple(json_fields)
        self._rows: dict[Any, tuple[dict[str, Any], bytes]] = {}
        self._recent: dict[Any, None] = {}
        self._plain = [f.name for f in fields(cast(Any, kind)) if f.name not in self._json]
        self._index = MetadataIndex()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def put(self, record: R) -> None:
        """Add the record, or put it in the place of the one with its id."""
        key, values = self._key(record), record.__dict__
        text = orjson.dumps([values[name] for name in self._json], option=orjson.OPT_NON_STR_KEYS)
        before = self._rows.get(key)
        self._recent.pop(key, None)
        self._recent[key] = None
        self._rows[key] = ({name: values[name] for name in self._plain}, text)
        if before is None:
            self._index.add(key, self._metadata(text))
        elif before[1] != text:
            self._index.remove(key, self._metadata(before[1]))
            self._index.add(key, self._metadata(text))

    def get(self, key: object) -> R | None:
        """The record, made anew."""
        row = self._rows.get(key)
        return None if row is None else self._thaw(row)

    def all(self) -> Sequence[R]:
        """Every record, oldest first."""
        return [self._thaw(row) for row in self._rows.values()]

    def pop(self, key: object) -> R | None:
        """Remove the record and return it."""
        row = self._rows.pop(key, None)
        if row is None:
            return None
        del self._recent[key]
        self._index.remove(key, self._metadata(row[1]))
        return self._thaw(row)

    def search(self, paging: Paging, *, metadata: Json, keep: Callable[[R], bool] | None = None) -> Page[R]:
        """The records whose metadata contains ``metadata`` and which pass ``keep``: one page and the total."""
        deep = any(isinstance(value, dict | list) for value in metadata.values())
        found = self._index.having(metadata)
        keys: Iterable[Any] = self._rows if found is None else found
        if deep or keep is not None:
            keys = [key for key in keys if self._passes(key, metadata if deep else {}, keep)]
        ordered = self._order(keys, paging)
        page = ordered[paging.offset : paging.offset + paging.limit]
        return Page(rows=[self._thaw(self._rows[key]) for key in page], total=len(ordered))

    def _order(self, keys: Iterable[Any], paging: Paging) -> Sequence[Any]:
        falling = paging.sort_order == "desc"
        if keys is self._rows and paging.sort_by in ("created_at", "updated_at"):
            # Rows are added when they are created and put when they change: both orders are there already.
            ordered = self._rows if paging.sort_by == "created_at" else self._recent
            return list(reversed(ordered)) if falling else list(ordered)
        name = paging.sort_by
        values = {key: self._rows[key][0].get(name) for key in keys}
        return sorted(values, key=lambda key: (values[key] is not None, values[key], key), reverse=falling)

    def _passes(self, key: object, metadata: Json, keep: Callable[[R], bool] | None) -> bool:
        row = self._rows[key]
        if metadata and not contains(self._metadata(row[1]), metadata):
            return False
        return keep is None or keep(self._thaw(row))

    def _metadata(self, text: bytes) -> Json:
        return cast(Json, orjson.loads(text)[0])

    def _thaw(self, row: tuple[dict[str, Any], bytes]) -> R:
        # The record was checked when it was put; building it field by field again would double the cost of a read.
        record = self._new(self._kind)
        record.__dict__.update(row[0], **dict(zip(self._json, orjson.loads(row[1]), strict=True)))
        return record
