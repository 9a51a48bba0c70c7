"""The caller of a request and the policy that limits what they reach."""

from dataclasses import dataclass
from typing import Literal, Protocol

from fast_graph.model.records import EVERYTHING, Json, Scope

Resource = Literal["assistants", "threads", "crons", "store"]


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    identity: str = ""
    permissions: tuple[str, ...] = ()
    address: str = ""
    """Where the request came from, as far as proxies can be believed."""

    @property
    def share(self) -> str:
        """By what the caller is counted where there are limits: who they are, or else where they are."""
        return f"user {self.identity}" if self.identity else f"address {self.address}"


ANONYMOUS = Caller()


class Policy(Protocol):
    """Decides, for each use case, which rows exist for the caller."""

    async def authorize(self, caller: Caller, resource: Resource, action: str, value: Json) -> Scope:
        """The metadata filter to apply, or an error that the API shows as 403."""
        ...


class OpenPolicy:
    """Everybody may do everything."""

    async def authorize(self, caller: Caller, resource: Resource, action: str, value: Json) -> Scope:
        return EVERYTHING
