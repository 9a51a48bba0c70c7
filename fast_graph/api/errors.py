"""Errors as responses. Every error body is ``{"detail": "<text>"}``."""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import orjson
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from fast_graph.model import errors

log = logging.getLogger("fast_graph.api")

STATUS: dict[type[errors.FastGraphError], int] = {
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.InvalidError: 422,
    errors.RefusedError: 400,
    errors.CapacityError: 503,
    errors.UnavailableError: 503,
    errors.SealedError: 500,
}

RETRY_AFTER = "1"
"""Seconds after which a request that was refused with 503 may be sent again."""


class Problem(BaseModel):
    """The body of every error."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "There is no such thing, or not for this caller"},
    409: {"model": Problem, "description": "It exists already, or is busy"},
    422: {"model": Problem, "description": "Malformed"},
}
"""What the API's description says of errors."""


def problem(status: int, detail: str) -> Response:
    """An error response."""
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
    return Response(
        orjson.dumps({"detail": detail}), status_code=status, headers=headers, media_type="application/json"
    )


def answer(error: Exception, path: str) -> Response:
    """The response to a request that ended in ``error``.

    What nobody expected tells the client nothing but an id, under which the log has the rest.
    """
    if isinstance(error, RequestValidationError):
        return problem(422, _describe(error.errors()))
    status = STATUS.get(type(error))  # type: ignore[arg-type] # any other type is simply not in there
    if status is not None:
        return problem(status, str(error))
    incident = uuid4().hex
    log.error("request failed: incident %s at %s", incident, path, exc_info=error)
    return problem(500, f"Internal error; the server's log has it as {incident}")


def _describe(found: Sequence[Any]) -> str:
    first = found[0]
    if first["type"] == "json_invalid":
        return "Invalid JSON in request body"
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{where}: {first['msg']}{more}"
