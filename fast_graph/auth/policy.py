"""The caller of a request and the policy that limits what they reach."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from fast_graph.model.records import EVERYTHING, Scope
from fast_graph.model.user import User

Resource = Literal["assistants", "threads", "crons", "store"]


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    identity: str = ""
    permissions: tuple[str, ...] = ()
    user: User | None = field(default=None, compare=False)
    """All that is known of them; None if nobody asked."""
    address: str = ""
    """Where the request came from, as far as proxies can be believed."""

    @property
    def share(self) -> str:
        """By what the caller is counted where there are limits: who they are, or else where they are."""
        return f"user {self.identity}" if self.identity else f"address {self.address}"


ANONYMOUS = Caller()


class Policy(Protocol):
    """Decides, for each use case, which rows exist for the caller."""

    async def authorize(self, caller: Caller, resource: Resource, action: str, value: dict[str, Any]) -> Scope:
        """The metadata filter to apply, or an error: UnauthenticatedError, ForbiddenError or RejectedError.

        ``value`` is what the caller asks for. What the policy writes into it counts: it is what is done.
        """
        ...


class OpenPolicy:
    """Everybody may do everything."""

    async def authorize(self, caller: Caller, resource: Resource, action: str, value: dict[str, Any]) -> Scope:
        return EVERYTHING
