"""What a request says of who sends it, and what finds out who that is."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload

from fast_graph.auth.policy import Caller
from fast_graph.model.errors import UnauthenticatedError
from fast_graph.model.user import User

BASICS = ("identity", "display_name", "is_authenticated", "permissions")


class Headers(Mapping[Any, Any]):
    """Headers by name. Who asks in bytes, as ``langgraph_sdk`` documents it, gets bytes, and who asks in text, text."""

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self._values = {name.lower(): value for name, value in reversed(pairs)}

    @overload
    def __getitem__(self, name: str) -> str: ...
    @overload
    def __getitem__(self, name: bytes) -> bytes: ...
    def __getitem__(self, name: str | bytes) -> str | bytes:
        if isinstance(name, bytes):
            return self._values[name.lower()]
        return self._values[name.lower().encode("latin-1", "replace")].decode("latin-1")

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A request, by the names under which authenticate functions ask for its parts."""

    request: object
    method: str
    path: str
    path_params: Mapping[str, str]
    query_params: Mapping[str, str]
    headers: Headers
    read_body: Callable[[], Awaitable[Any]]

    @property
    def authorization(self) -> str | None:
        """The header of that name."""
        return self.headers.get("authorization")


class Authenticator(Protocol):
    """Finds out who sends a request."""

    async def __call__(self, credentials: Credentials) -> Caller:
        """The caller. Raises UnauthenticatedError, or RejectedError for what a function of the user's refuses."""
        ...


def caller_from(found: object) -> Caller:
    """The caller that a function of the user's found: a text, a mapping, or an object with an ``identity``.

    Raises UnauthenticatedError if it found nobody.
    """
    values = _values(found)
    identity = values.get("identity")
    if identity in (None, "") or values.get("is_authenticated") is False or not _is_text(str(identity)):
        raise UnauthenticatedError("Nobody is known by these credentials")
    permissions = [str(one) for one in values.get("permissions") or ()]
    user = User({**values, "identity": str(identity), "permissions": permissions})
    return Caller(str(identity), tuple(permissions), user)


def _is_text(identity: str) -> bool:
    """Whether it can be written down: a half of a surrogate pair cannot."""
    return identity.encode(errors="replace").decode() == identity


def _values(found: object) -> dict[str, Any]:
    if found is None or isinstance(found, str):
        return {"identity": found}
    if isinstance(found, Mapping):
        return dict(found)
    theirs = {name: value for name, value in getattr(found, "__dict__", {}).items() if not name.startswith("_")}
    return {**theirs, **{name: getattr(found, name) for name in BASICS if hasattr(found, name)}}
