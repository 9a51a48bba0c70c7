"""Python values of graphs as JSON text."""

import dataclasses
import json
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from re import Pattern
from typing import Any

import orjson
from langchain_core.messages import BaseMessage
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

_OPTIONS = orjson.OPT_NON_STR_KEYS


def encode(value: Any) -> bytes:
    """JSON text of any value a graph is likely to hold.

    Messages and pydantic models become their dump; sets and other collections become lists. Raises TypeError
    for what has no JSON form.
    """
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError:
        return _encode_slowly(value)


def encode_message(message: BaseMessage) -> bytes:
    """JSON text of one message, or of one chunk of it."""
    try:
        return message.__pydantic_serializer__.to_json(message)
    except ValueError:
        return encode(message.model_dump())


def decode(text: bytes) -> Any:
    """The value of JSON text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)  # `encode` may have written what is beyond orjson's limits


def plain(value: Any) -> Any:
    """The value as JSON would carry it: only objects, lists, strings, numbers, booleans and null."""
    return orjson.loads(encode(value))


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
    try:
        return to_jsonable_python(value)  # what models hold: URLs, secrets (masked), addresses
    except PydanticSerializationError as error:
        raise TypeError(f"A value of type {type(value).__name__} has no JSON form") from error


def _encode_slowly(value: Any) -> bytes:
    """For what orjson refuses: integers beyond 64 bits, lone surrogates, keys such as tuples, deep nesting."""
    try:
        text = json.dumps(_tame(value), ensure_ascii=False, separators=(",", ":"))
    except (RecursionError, ValueError) as error:
        raise TypeError(f"A value of type {type(value).__name__} is too large for JSON, or contains itself") from error
    # Clients refuse lone surrogates: pairs become their character, the rest the replacement character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _tame(value: Any) -> Any:
    """The value as orjson would take it apart, without its limits."""
    if isinstance(value, dict):
        return {_key(key): _tame(item) for key, item in value.items()}
    if isinstance(value, list) or type(value) is tuple:
        return [_tame(item) for item in value]
    if isinstance(value, Enum):
        return _tame(value.value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else _tame_object(value)


def _tame_object(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _tame(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _tame(getattr(value, name)) for name in names if not name.startswith("_")}
    try:
        return decode(orjson.dumps(value, option=_OPTIONS))
    except TypeError:
        return _tame(_plain(value))


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    try:
        return str(next(iter(decode(orjson.dumps({key: None}, option=_OPTIONS)))))
    except TypeError:
        return str(key)
