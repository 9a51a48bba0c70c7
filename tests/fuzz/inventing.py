"""Requests made up from what the API's description names, and from what nobody expects in its places."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

import orjson

from tests.fuzz.asking import Attempt

TEXTS = ["", "a", "0", "*", ".", "..", "a/b", "\0", "\ud800", "\ue000", "\u202e", "\u0131", "\U0001d4b3", "null", "[",
         "{}", "a.b", "$eq", "__proto__", "__start__", "langgraph", "%", "%s{0}", "'; --", "\n", "x" * 300, "-1",
         "1-1", "0-0"]  # fmt: skip
NUMBERS = [b"0", b"-1", b"-0.0", b"2147483648", b"9007199254740993", b"9223372036854775808", b"18446744073709551616",
           b"-9223372036854775809", b"1e308", b"1e999", b"-1e999", b"1" * 400, b"1e-400", b"0.1"]  # fmt: skip
NO_JSON = [b"NaN", b"Infinity", b"-Infinity", b"{", b"[1,", b'"\xff"', b"\x00", b"\xef\xbb\xbf{}", b"'a'", b"01", b"+1",
           b'{"a":1,}', b"{}{}", b"nul", b'"\\ud800"', b"[" * 5000, b'{"a":' * 5000, b""]  # fmt: skip
DEEP = [b"[" * depth + b"]" * depth for depth in (10, 190, 201, 260, 1200, 20_000)]
TYPES = [b"application/json", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data", b"", b"\xff",
         b"application/json; charset=utf-16", b"application/msgpack"]  # fmt: skip
HEADERS = [b"last-event-id", b"prefer", b"accept", b"origin", b"accept-encoding", b"range", b"x-forwarded-for",
           b"content-encoding", b"if-none-match", b"authorization", b"cookie", b"upgrade"]  # fmt: skip
MODES = ["values", "updates", "messages", "messages-tuple", "events", "tasks", "checkpoints", "debug", "custom"]
LIKELY: Mapping[str, Sequence[Any]] = {
    "assistant_id": ["tiny", "asking", "failing"],
    "graph_id": ["tiny"],
    "thread_id": ["one", "two"],
    "input": [{"count": 1}, {"log": ["a"]}, None],
    "stream_mode": [*MODES, MODES],
    "if_not_exists": ["create", "create", "reject"],
    "if_exists": ["do_nothing", "raise"],
    "multitask_strategy": ["enqueue", "interrupt", "rollback", "reject"],
    "namespace": [["a"], ["a", "b"]],
    "namespace_prefix": [["a"], []],
    "key": ["k"],
    "value": [{"a": 1}],
    "metadata": [{}, {"a": {"b": [1]}}],
    "values": [{"count": 2}],
    "as_node": ["work", "__start__"],
    "command": [{"resume": 1}, {"goto": "work"}, {"update": {"count": 3}}],
    "strategy": ["delete", "keep_latest"],
    "thread_ids": [["one"]],
    "filter": [{"a": 1}, {"a": {"$gt": 1}}],
    "supersteps": [[{"updates": [{"values": {"count": 1}, "as_node": "work"}]}]],
    "after_seconds": [0],
    "schedule": ["* * * * *"],
    "version": [1],
}


@dataclass(frozen=True)
class Operation:
    """One operation of the API, as its description has it."""

    method: str
    path: str
    parameters: Sequence[tuple[str, str]]
    """Where and what: ``("query", "limit")``."""
    fields: Sequence[str]
    """The fields of its body."""


def operations(description: Mapping[str, Any]) -> list[Operation]:
    """All operations of an OpenAPI description."""
    return [
        Operation(
            method.upper(),
            path,
            [(one["in"], one["name"]) for one in operation.get("parameters", ())],
            _fields(description, operation),
        )
        for path, item in description["paths"].items()
        for method, operation in item.items()
    ]


def _fields(description: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
    found = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    found = found.get("items", found)
    options = [found, *found.get("anyOf", ())]
    names = [one["$ref"].rpartition("/")[2] for one in options if "$ref" in one]
    return sorted({field for name in names for field in description["components"]["schemas"][name]["properties"]})


class Inventor:
    """Makes requests, each mostly right, so that it comes far, and wrong in some place or other."""

    def __init__(self, dice: random.Random, operations: Sequence[Operation], known: Sequence[str]) -> None:
        self._dice = dice
        self._operations = operations
        self._known = known
        """Ids that exist."""

    def attempt(self) -> Attempt:
        operation = self._dice.choice(self._operations)
        target, headers = operation.path.encode(), []
        query = []
        for place, name in operation.parameters:
            if place == "path":
                target = target.replace(f"{{{name}}}".encode(), self._path_text(name))
            elif place == "query" and self._dice.random() < 0.5:
                query += [(name, self._query_text(name)) for _ in range(self._dice.choice([1, 1, 1, 3]))]
            elif place == "header" and self._dice.random() < 0.5:
                headers.append((name.lower().encode(), self._header_text()))
        while self._dice.random() < 0.2:
            headers.append((self._dice.choice(HEADERS), self._header_text()))
        if self._dice.random() < 0.15:
            query.append((self._text(), self._query_text("")))
        if query:
            target += b"?" + b"&".join(_quoted(name) + b"=" + value for name, value in query)
        body = b"" if operation.method == "GET" and self._dice.random() < 0.9 else self._body(operation)
        kind = self._dice.choice(TYPES) if self._dice.random() < 0.2 else b"application/json"
        return Attempt(method=operation.method, target=target, body=body, headers=[(b"content-type", kind), *headers])

    # ---------------------------------------------------------------- outside the body

    def _path_text(self, name: str) -> bytes:
        if self._dice.random() < 0.6:
            return _quoted(self._dice.choice([*self._known, *map(str, LIKELY.get(name, ["one"]))]))
        if self._dice.random() < 0.1:
            return self._dice.choice([b"%ff", b"%", b"%zz", b"%00", b"%2F", b"%2e%2e%2f", b"%ed%a0%80"])
        return _quoted(self._text()) or b"_"

    def _query_text(self, name: str) -> bytes:
        pick = self._dice.random()
        if pick < 0.3:
            return self._dice.choice(NUMBERS)
        if pick < 0.5:
            return _quoted(str(self._dice.choice([*LIKELY.get(name, ["true"]), *MODES])))
        return self._dice.choice([b"%ff", b"%00", b"[", b"[1", b'["a"]', b'[{"a":1}]', b"NaN", _quoted(self._text())])

    def _header_text(self) -> bytes:
        found = self._text().encode("utf-8", "surrogatepass")
        return self._dice.choice([found, b"\xff\xfe", b"-1", b"1-1", b"99999999999999999999-1", b"1" * 5000, b"0"])

    def _text(self) -> str:
        return "".join(self._dice.choices(TEXTS, k=self._dice.choice([1, 1, 2])))

    # ---------------------------------------------------------------- the body

    def _body(self, operation: Operation) -> bytes:
        if self._dice.random() < 0.1:
            return self._dice.choice([*NO_JSON, *DEEP, *NUMBERS, b"[]", b'""', b"null"])
        chosen = [name for name in operation.fields if self._dice.random() < (0.8 if name in LIKELY else 0.1)]
        members = [orjson.dumps(name) + b":" + self._member(name) for name in chosen]
        if members and self._dice.random() < 0.1:
            members.append(self._dice.choice(members))
        body = b"{" + b",".join(members) + b"}"
        if operation.path.endswith("/batch"):
            body = b"[" + body + b"]"
        return body[: self._dice.randrange(len(body))] if self._dice.random() < 0.03 else body

    def _member(self, name: str) -> bytes:
        if name in LIKELY and self._dice.random() < 0.92:
            return orjson.dumps(self._dice.choice(LIKELY[name]))
        return self._json(0)

    def _json(self, level: int) -> bytes:
        pick = self._dice.random()
        if pick < 0.25:
            return orjson.dumps(self._text().encode("utf-8", "replace").decode())
        if pick < 0.45:
            return self._dice.choice(NUMBERS)
        if pick < 0.5:
            return self._dice.choice([*NO_JSON, *DEEP])
        if pick < 0.65 or level > 3:
            return self._dice.choice([b"null", b"true", b"false", b"[]", b"{}", b'"\\u0000"', b'"one"'])
        items = [self._json(level + 1) for _ in range(self._dice.choice([1, 2, 3]))]
        if pick < 0.8:
            return b"[" + b",".join(items) + b"]"
        names = (orjson.dumps(self._text().encode("utf-8", "replace").decode()) for _ in items)
        return b"{" + b",".join(name + b":" + item for name, item in zip(names, items, strict=True)) + b"}"


def _quoted(text: str) -> bytes:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="").encode()
