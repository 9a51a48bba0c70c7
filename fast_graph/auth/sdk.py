"""``langgraph_sdk.Auth`` objects, and authenticate functions as they take them."""

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from langgraph_sdk import Auth
from langgraph_sdk.auth.types import AuthContext

from fast_graph.auth.credentials import Credentials, caller_from
from fast_graph.auth.policy import Caller, Resource
from fast_graph.model.errors import ConfigurationError, ForbiddenError, RejectedError, UnauthenticatedError
from fast_graph.model.match import check_scope, in_scope
from fast_graph.model.records import EVERYTHING, Json, Scope

PARTS = ("request", "method", "path", "path_params", "query_params", "headers", "authorization", "body")
"""What an authenticate function may ask for, by the names of its parameters."""

ANY = "*"

WRITING = frozenset({"create", "update", "create_run"})
"""Actions whose ``value`` has metadata that will be kept."""


class AuthenticateFunction:
    """Asks a function of the user's who sends a request."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Raises ConfigurationError for a parameter that nobody could fill."""
        self._function = function
        self._asks_for = _parts_asked_for(function)
        self._is_async = inspect.iscoroutinefunction(function)

    async def __call__(self, credentials: Credentials) -> Caller:
        parts = {name: getattr(credentials, name) for name in self._asks_for if name != "body"}
        if "body" in self._asks_for:
            parts["body"] = await credentials.read_body()
        with refusals():
            found = await self._ask(parts)
        return caller_from(found)

    async def _ask(self, parts: Mapping[str, Any]) -> object:
        """A plain function may block, so it does so in a thread."""
        if self._is_async:
            return await self._function(**parts)
        found = await asyncio.to_thread(self._function, **parts)
        return await found if inspect.isawaitable(found) else found


def _parts_asked_for(function: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    for parameter in named:
        if parameter.name not in PARTS and parameter.default is parameter.empty:
            raise ConfigurationError(
                f"The authenticate function asks for {parameter.name!r}: there are {', '.join(PARTS)}. For a FastAPI "
                "dependency, give auth=Depends(...)"
            )
    return tuple(parameter.name for parameter in named if parameter.name in PARTS)


def authenticator_of(auth: Auth) -> AuthenticateFunction | None:
    """What the object's authenticate function says of requests; None if it has none."""
    function = auth._authenticate_handler  # noqa: SLF001 - the SDK tells it in no other way
    return None if function is None else AuthenticateFunction(function)


class SdkPolicy:
    """What the handlers of a ``langgraph_sdk.Auth`` object say; the most specific one is asked."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    async def authorize(self, caller: Caller, resource: Resource, action: str, value: dict[str, Any]) -> Scope:
        if caller.user is None:
            raise UnauthenticatedError("Say who you are")
        handler = self._handler(resource, action)
        if handler is None:
            return EVERYTHING
        context = AuthContext(
            permissions=list(caller.permissions),
            user=cast(Any, caller.user),
            resource=resource,
            action=cast(Any, action),
        )
        with refusals():
            said = await handler(ctx=context, value=value)
        scope = _scope(said, resource, action)
        if action in WRITING:
            _check_own(value.get("metadata") or {}, scope)
        return scope

    def _handler(self, resource: str, action: str) -> Callable[..., Any] | None:
        registered = self._auth._handlers  # noqa: SLF001 - the SDK tells it in no other way
        for asked in ((resource, action), (resource, ANY), (ANY, action)):
            if asked in registered:
                return registered[asked][-1]
        everything = self._auth._global_handlers  # noqa: SLF001 - nor this
        return everything[-1] if everything else None


def _scope(said: object, resource: str, action: str) -> Scope:
    if said is None or said is True:
        return EVERYTHING
    if said is False:
        raise ForbiddenError("Forbidden")
    if not isinstance(said, Mapping):
        raise ConfigurationError(
            f"The handler of {resource}.{action} returned {type(said).__name__}: it takes None, a bool or a filter"
        )
    check_scope(said)
    return said


def _check_own(metadata: Json, scope: Scope) -> None:
    """Nobody makes a row look like another's: what the filter asks about may be left out, but not be otherwise."""
    told = {key: condition for key, condition in scope.items() if key in metadata}
    if not in_scope(metadata, told):
        raise ForbiddenError(f"What is written may not have this metadata: {', '.join(sorted(told))}")


@contextmanager
def refusals() -> Iterator[None]:
    """What a function of the user's raises with a status and a detail is its answer, whoever's class it is of."""
    try:
        yield
    except Exception as error:
        status, detail = getattr(error, "status_code", None), getattr(error, "detail", None)
        if not isinstance(status, int) or detail is None:
            raise
        raise RejectedError(str(detail), status=status, headers=getattr(error, "headers", None) or {}) from error
