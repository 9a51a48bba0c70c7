"""The port that counts how often callers come."""

from typing import Protocol


class Rates(Protocol):
    """Counts what callers do, wherever they do it: all instances that share a backend count together."""

    async def hit(self, key: str) -> float:
        """Count one request. Returns 0 if it may be served, else the seconds after which the next one will be.

        Never raises: while nobody can count together, each process counts for itself.
        """
        ...
