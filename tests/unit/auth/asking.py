"""Requests, as authenticators are shown them."""

from typing import Any

from fast_graph.auth.credentials import Credentials, Headers


async def no_body() -> Any:
    return {"assistant_id": "shout"}


def asking(**headers: str) -> Credentials:
    """A request with these headers; ``_`` in a name stands for ``-``."""
    pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Credentials(
        request=object(),
        method="POST",
        path="/threads/t/runs",
        path_params={"thread_id": "t"},
        query_params={"limit": "3"},
        headers=Headers(pairs),
        read_body=no_body,
    )
