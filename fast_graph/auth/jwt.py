"""JSON Web Tokens. A key decides by its own kind which algorithm is taken; what the token says cannot change that."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from fast_graph.auth.credentials import Credentials, caller_from
from fast_graph.auth.policy import Caller
from fast_graph.model.errors import ConfigurationError, UnauthenticatedError, UnavailableError

log = logging.getLogger("fast_graph.auth")

SHORTEST_SECRET = 32
"""Bytes that a secret for HS256 has at least: with fewer, it can be guessed from a token."""

FETCH_TIMEOUT = 5.0
PAUSE = 10.0
"""Seconds between two looks for a key that is not known: tokens that name made-up keys cause no storm."""

REASONS: Mapping[type[jwt.InvalidTokenError], str] = {
    jwt.ExpiredSignatureError: "The token has expired",
    jwt.ImmatureSignatureError: "The token is not valid yet",
    jwt.InvalidAudienceError: "The token is for another audience",
    jwt.InvalidIssuerError: "The token is by another issuer",
}
"""What callers are told; whatever else is wrong with a token is not."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key, and the one algorithm it is for."""

    value: Any
    algorithm: str


class Keys(Protocol):
    """Where the keys of tokens come from."""

    async def find(self, key_id: str | None) -> Key:
        """The key that a token names. Raises UnauthenticatedError if there is none, and UnavailableError."""
        ...


class FixedKey:
    """One key for all tokens: a public key in PEM, or a secret."""

    def __init__(self, text: str) -> None:
        """Raises ConfigurationError for what is no key."""
        self._key = _public_key(text) if "-----BEGIN" in text else _secret(text)

    async def find(self, key_id: str | None) -> Key:
        return self._key


def _secret(text: str) -> Key:
    if len(text.encode()) < SHORTEST_SECRET:
        raise ConfigurationError(f"FAST_GRAPH_JWT_KEY: a secret has {SHORTEST_SECRET} bytes at least, this has fewer")
    return Key(value=text, algorithm="HS256")


def _public_key(text: str) -> Key:
    try:
        key = load_pem_public_key(text.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("FAST_GRAPH_JWT_KEY begins like a public key in PEM, but is none") from error
    if isinstance(key, RSAPublicKey):
        return Key(value=key, algorithm="RS256")
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return Key(value=key, algorithm="ES256")
    raise ConfigurationError("FAST_GRAPH_JWT_KEY: a public key is of RSA, or of the elliptic curve P-256")


class KeySet:
    """The public keys that an issuer publishes as a JWKS. Read again when they grow old, and for a key not seen yet."""

    def __init__(self, url: str, *, lifetime: float, clock: Callable[[], float]) -> None:
        """``lifetime`` in seconds; ``clock`` counts seconds from anywhere and never goes back."""
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT)
        self._lifetime = lifetime
        self._clock = clock
        self._keys: Mapping[str | None, Key] | None = None
        self._read_at = self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, key_id: str | None) -> Key:
        if not self._will_do(key_id):
            await self._renew(key_id)
        keys = self._keys
        if keys is None:
            raise UnavailableError("The keys of the token's issuer cannot be read at the moment")
        if key_id is None and len(keys) == 1:
            return next(iter(keys.values()))
        if key_id is None or key_id not in keys:
            raise UnauthenticatedError("The token is not valid")
        return keys[key_id]

    def _will_do(self, key_id: str | None) -> bool:
        """Whether the keys at hand are to be used: they are new enough and have this one, or were just looked for."""
        now = self._clock()
        is_new = now - self._read_at < self._lifetime
        return (is_new and self._knows(key_id)) or now - self._tried_at < PAUSE

    def _knows(self, key_id: str | None) -> bool:
        return self._keys is not None and (key_id is None or key_id in self._keys)

    async def _renew(self, key_id: str | None) -> None:
        """One caller reads the keys. Whose key is known waits for nobody."""
        if self._reading.locked() and self._knows(key_id):
            return
        async with self._reading:
            if not self._will_do(key_id):
                await self._read()

    async def _read(self) -> None:
        """Get the keys as they are now; those known before stay, if the issuer does not answer, or with no keys."""
        try:
            found = await asyncio.to_thread(self._client.get_jwk_set)
        except (jwt.PyJWTError, ValueError, OSError) as error:
            log.warning("keys not read, what was known stays: error=%s", error)
        else:
            self._keys = {one.key_id: key for one in found.keys if (key := _published(one)) is not None}
            self._read_at = self._clock()
        self._tried_at = self._clock()


def _published(one: jwt.PyJWK) -> Key | None:
    """A published secret is none, so only public keys count."""
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(one.key_type or "")
    if algorithm is None or one.algorithm_name != algorithm or one.public_key_use not in (None, "sig"):
        return None
    return Key(value=one.key, algorithm=algorithm)


class Tokens:
    """Knows callers by the token in their header ``Authorization: Bearer ...``."""

    def __init__(
        self, keys: Keys, *, issuer: str | None = None, audience: Sequence[str] | None = None, leeway: float = 0
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway

    async def __call__(self, credentials: Credentials) -> Caller:
        scheme, _, token = (credentials.authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("Send your token in the header Authorization: Bearer <token>")
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            claims = self._claims(token, key)
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError(REASONS.get(type(error), "The token is not valid")) from error
        return caller_from(_user(claims))

    def _claims(self, token: str, key: Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.value,
            algorithms=[key.algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=self._leeway,
            options={"require": ["exp", "sub"]},
        )


def _user(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """The claims, and what they say in the words of a user."""
    scopes, permissions = claims.get("scope"), claims.get("permissions")
    granted = scopes.split() if isinstance(scopes, str) else []
    granted += permissions if isinstance(permissions, list) else []
    name = claims.get("name") or claims["sub"]
    return {**claims, "identity": claims["sub"], "display_name": name, "permissions": granted}
