"""The policy without handlers: to each their own."""

from typing import Any
from urllib.parse import quote

from fast_graph.auth.policy import Caller, Resource
from fast_graph.model.errors import UnauthenticatedError
from fast_graph.model.records import EVERYTHING, Scope

RESERVED = "langgraph"
"""The label under which LangGraph lets nobody write."""

OWNER = "owner"
"""The key of metadata that names whose a row is."""


class OwnerPolicy:
    """Each identity reaches its own rows and items only. Assistants that are nobody's, such as the graphs' own, can
    be read by all and changed by none.
    """

    def __init__(self, *, private_store: bool) -> None:
        self._private_store = private_store

    async def authorize(self, caller: Caller, resource: Resource, action: str, value: dict[str, Any]) -> Scope:
        if not caller.identity:
            raise UnauthenticatedError("Say who you are")
        if resource == "store":
            if self._private_store:
                value["namespace"] = own_namespace(caller.identity, value["namespace"] or ())
            return EVERYTHING
        if action in ("create", "update", "create_run") and "metadata" in value:
            value["metadata"] = {**value["metadata"], OWNER: caller.identity}
        if resource == "assistants" and action in ("read", "search"):
            return {OWNER: {"$in": [caller.identity, None]}}
        return {OWNER: caller.identity}


def own_namespace(identity: str, namespace: tuple[str, ...]) -> tuple[str, ...]:
    """The namespace below the caller's own label, unless it is there already."""
    label = own_label(identity)
    return tuple(namespace) if namespace and namespace[0] == label else (label, *namespace)


def own_label(identity: str) -> str:
    """The identity as a label: no dots, which separate labels, and no ``*``, which is any."""
    label = quote(identity, safe="@:|").replace(".", "%2E")
    return f"%{ord(label[0]):X}{label[1:]}" if label == RESERVED else label
