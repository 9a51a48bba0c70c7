"""A user as handlers and graphs see one: by key, and by attribute."""

from collections.abc import Mapping
from typing import Any


class User(dict[str, Any]):
    """What is known of who sent a request. ``identity`` is always there. A dict, so that states may hold it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        usual = {"display_name": values["identity"], "is_authenticated": True, "permissions": []}
        super().__init__({**usual, **{key: value for key, value in values.items() if value is not None}})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"Of this user there is no {name!r}") from None
