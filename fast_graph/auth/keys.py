"""API keys. Only their hashes are kept: whoever reads the settings cannot call with them."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from fast_graph.auth.credentials import Authenticator, Credentials, caller_from
from fast_graph.auth.policy import Caller
from fast_graph.model.errors import ConfigurationError, UnauthenticatedError

HEADER = "x-api-key"
DIGEST_LENGTH = 64
PREFIX = "fg_"
"""How keys begin, so that those who search for leaked ones find them."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Whose key has which hash."""

    identity: str
    digest: str

    def __str__(self) -> str:
        return f"{self.identity}:{self.digest}"


class ApiKeys:
    """Knows callers by the key in their header ``x-api-key``."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    async def __call__(self, credentials: Credentials) -> Caller:
        key = credentials.headers.get(HEADER)
        if not key:
            raise UnauthenticatedError(f"Send your API key in the header {HEADER}")
        digest = digest_of(key)
        # Every entry is compared, and in whole: how long it takes tells nothing.
        known = [entry.identity for entry in self._entries if hmac.compare_digest(entry.digest, digest)]
        if not known:
            raise UnauthenticatedError("The API key is not valid")
        return caller_from(known[0])


class Either:
    """By API key where a request brings one, else by what comes second."""

    def __init__(self, keys: ApiKeys, second: Authenticator) -> None:
        self._keys = keys
        self._second = second

    async def __call__(self, credentials: Credentials) -> Caller:
        authenticator = self._keys if HEADER in credentials.headers else self._second
        return await authenticator(credentials)


def new_key(identity: str) -> tuple[str, Entry]:
    """A key that nobody can guess, and its entry. Raises ConfigurationError for an impossible identity."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, parse_entries(f"{identity}:{digest_of(key)}")[0]


def digest_of(key: str) -> str:
    """The hash of a key. A fast one will do: keys are random, not words that could be guessed."""
    return sha256(key.encode()).hexdigest()


def parse_entries(text: str) -> Sequence[Entry]:
    """``alice:<SHA-256 in hex>, bob:...`` as entries. Raises ConfigurationError without repeating any of it."""
    return [_entry(part.strip(), number) for number, part in enumerate(text.split(","), 1)]


def _entry(part: str, number: int) -> Entry:
    identity, _, digest = part.rpartition(":")
    if not identity or len(digest) != DIGEST_LENGTH or not set(digest.lower()) <= set("0123456789abcdef"):
        raise ConfigurationError(
            f"API key number {number} is not <identity>:<SHA-256 in hex>: make one with 'fast-graph key <identity>'"
        )
    return Entry(identity=identity, digest=digest.lower())
