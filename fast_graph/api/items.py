"""/store."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from fast_graph.api import requests
from fast_graph.api.present import item_json, no_content, reply
from fast_graph.api.routing import Guard, Routes, caller_of
from fast_graph.model.errors import RefusedError
from fast_graph.services.items import Items

Strings = Annotated[list[str] | None, Query()]


class ItemRoutes:
    """The handlers of the store."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def add_to(self, router: APIRouter, guard: Guard | None = None) -> None:
        """Add all of them, under their paths."""
        routes = Routes(router, "store", guard)
        routes.add("PUT /store/items", self.put, status_code=204)
        routes.add("GET /store/items", self.get)
        routes.add("DELETE /store/items", self.delete, status_code=204)
        routes.add("POST /store/items/search", self.search)
        routes.add("POST /store/namespaces", self.namespaces)

    async def put(self, request: Request, body: requests.StorePut) -> Response:
        """Store a value."""
        await self._items.put(caller_of(request), body.namespace, body.key, body.value, index=body.index, ttl=body.ttl)
        return no_content()

    async def get(
        self, request: Request, key: str | None = None, namespace: Strings = None, refresh_ttl: bool | None = None
    ) -> Response:
        """The item under a key, or null."""
        if key is None:
            raise RefusedError("Say which item: the query needs a key")
        labels = [label for part in requests.listed(namespace) or () for label in part.split(".")]
        item = await self._items.get(caller_of(request), labels, key, refresh_ttl=refresh_ttl)
        return reply(None if item is None else item_json(item))

    async def delete(self, request: Request, body: requests.StoreDelete) -> Response:
        """Remove an item."""
        await self._items.delete(caller_of(request), body.namespace, body.key)
        return no_content()

    async def search(self, request: Request, body: requests.StoreSearch) -> Response:
        """Find items below a namespace."""
        found = await self._items.search(
            caller_of(request),
            body.namespace_prefix,
            query=body.query,
            filter=body.filter,
            limit=body.limit,
            offset=body.offset,
            refresh_ttl=body.refresh_ttl,
        )
        return reply({"items": [item_json(item) for item in found]})

    async def namespaces(self, request: Request, body: requests.StoreNamespaces) -> Response:
        """List the namespaces that hold items."""
        found = await self._items.namespaces(caller_of(request), **dict(body))
        return reply({"namespaces": [list(labels) for labels in found]})
