"""Errors as responses. Every error body is ``{"detail": "<text>"}``."""

import logging
import math
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
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.InvalidError: 422,
    errors.RefusedError: 400,
    errors.TooLargeError: 413,
    errors.LimitError: 429,
    errors.CapacityError: 503,
    errors.UnavailableError: 503,
    errors.SealedError: 500,
}

RETRY_AFTER = 1.0
"""Seconds after which a request that was refused with 503 may be sent again."""

WAIT = frozenset({429, 503})
"""What may be asked for again later."""

CHALLENGES = {401: {"WWW-Authenticate": "Bearer"}}
"""What an answer says besides."""


class Problem(BaseModel):
    """The body of every error."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "Nobody is known by these credentials"},
    403: {"model": Problem, "description": "The caller may not do this"},
    404: {"model": Problem, "description": "There is no such thing, or not for this caller"},
    409: {"model": Problem, "description": "It exists already, or is busy"},
    413: {"model": Problem, "description": "Larger than is allowed"},
    422: {"model": Problem, "description": "Malformed"},
    429: {"model": Problem, "description": "More than is allowed at a time: wait as long as Retry-After says"},
}
"""What the API's description says of errors."""


def problem(status: int, detail: str, *, retry_after: float = RETRY_AFTER) -> Response:
    """An error response. ``retry_after`` is in seconds, for those where waiting helps."""
    headers = {"Retry-After": str(max(1, math.ceil(retry_after)))} if status in WAIT else CHALLENGES.get(status)
    return Response(
        orjson.dumps({"detail": detail}), status_code=status, headers=headers, media_type="application/json"
    )


def answer(error: Exception, path: str) -> Response:
    """The response to a request that ended in ``error``.

    What nobody expected tells the client nothing but an id, under which the log has the rest.
    """
    if isinstance(error, RequestValidationError):
        return problem(422, _describe(error.errors()))
    if isinstance(error, errors.RejectedError):
        return _passed_on(error)
    status = STATUS.get(type(error))  # type: ignore[arg-type] # any other type is simply not in there
    if status is not None:
        return problem(status, str(error), retry_after=getattr(error, "retry_after", RETRY_AFTER))
    incident = uuid4().hex
    log.error("request failed: incident %s at %s", incident, path, exc_info=error)
    return problem(500, f"Internal error; the server's log has it as {incident}")


def _passed_on(error: errors.RejectedError) -> Response:
    """The answer of a function of the user's; what is no refusal becomes one."""
    said = problem(error.status if 400 <= error.status <= 599 else 403, str(error))
    said.headers.update(error.headers)
    return said


def _describe(found: Sequence[Any]) -> str:
    first = found[0]
    if first["type"] == "json_invalid":
        return "Invalid JSON in request body"
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{where}: {first['msg']}{more}"
