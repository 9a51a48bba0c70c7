"""How the fields of records are stored: JSON as the database knows it, moments in UTC."""

import re
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator, types

from fast_graph.model.records import Failure

T = TypeVar("T")

NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape of the one character that PostgreSQL cannot store in jsonb."""

Id = Text(collation="C").with_variant(Text(), "sqlite")
"""Sorted by code point, whatever the database's locale."""
Serial = BigInteger().with_variant(Integer(), "sqlite")


class RawJsonb(types.UserDefinedType[str]):
    """PostgreSQL's jsonb, as text in both directions."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The name of the type."""
        return "JSONB"


class _Jsonb(TypeDecorator[T]):
    """Jsonb where there is one, else text."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        """The type of the column."""
        return dialect.type_descriptor(RawJsonb() if dialect.name == "postgresql" else Text())


class JsonText(_Jsonb[bytes]):
    """JSON that comes and goes as bytes, without being parsed here."""

    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Bytes to text."""
        return None if value is None else storable(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Text to bytes."""
        return None if value is None else value.encode()


class Json(_Jsonb[Any]):
    """JSON that comes and goes as objects; ``None`` is NULL."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Objects to text."""
        return None if value is None else json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Text to objects."""
        return None if value is None else orjson.loads(value)


class FailureJson(_Jsonb[Failure]):
    """A Failure as a JSON object."""

    cache_ok = True

    def process_bind_param(self, value: Failure | None, dialect: Dialect) -> str | None:
        """Failure to text."""
        return None if value is None else json_text({"error": value.error, "message": value.message})

    def process_result_value(self, value: str | None, dialect: Dialect) -> Failure | None:
        """Text to Failure."""
        return None if value is None else Failure(**orjson.loads(value))


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite forgets the zone; PostgreSQL answers in the session's."""
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


def json_text(value: Any) -> str:
    """The object as JSON that every database takes."""
    return storable(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))


def storable(text: bytes) -> str:
    """The JSON text, with NUL characters replaced: jsonb has none."""
    found = text.decode()
    return NUL.sub(r"\1\\ufffd", found) if "\\u0000" in found else found
