"""Python values of graphs as JSON text."""

import dataclasses
import json
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import PurePath
from re import Pattern
from typing import Any

import orjson
from langchain_core.messages import BaseMessage
from pydantic import BaseModel

_OPTIONS = orjson.OPT_NON_STR_KEYS


def encode(value: Any) -> bytes:
    """JSON text of any value a graph is likely to hold.

    Messages and pydantic models become their dump; sets and other collections become lists. Raises TypeError
    for what has no JSON form.
    """
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError:
        # The standard library takes what orjson refuses: integers beyond 64 bits, lone surrogates.
        return json.dumps(value, default=_plain_for_json, separators=(",", ":"), skipkeys=True).encode()


def encode_message(message: BaseMessage) -> bytes:
    """JSON text of one message, or of one chunk of it."""
    try:
        return message.__pydantic_serializer__.to_json(message)
    except ValueError:
        return encode(message.model_dump())


def decode(text: bytes) -> Any:
    """The value of JSON text."""
    return orjson.loads(text)


def plain(value: Any) -> Any:
    """The value as JSON would carry it: only objects, lists, strings, numbers, booleans and null."""
    return decode(encode(value))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseMessage):
        return orjson.Fragment(encode_message(value))
    if isinstance(value, BaseModel):
        return value.model_dump()
    return _plain_collection(value)


def _plain_collection(value: Any) -> Any:
    if isinstance(value, set | frozenset | deque):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | PurePath | complex):
        return str(value)
    if isinstance(value, Pattern):
        return value.pattern
    if hasattr(value, "_asdict"):
        return value._asdict()
    raise TypeError(f"A value of type {type(value).__name__} has no JSON form")


def _plain_for_json(value: Any) -> Any:
    if isinstance(value, BaseMessage | BaseModel):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return _plain_collection(value) if not hasattr(value, "isoformat") else value.isoformat()
