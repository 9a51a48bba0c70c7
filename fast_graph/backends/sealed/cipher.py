"""Encryption of what is kept: AES-256-GCM, under the first of several keys; any of them opens."""

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from fast_graph.model.errors import ConfigurationError, SealedError

MARK = b"\0fg1"
"""What everything sealed begins with, and nothing else that is kept: JSON has no NUL."""

KEY_BYTES, NAME_BYTES, NONCE_BYTES = 32, 4, 12
HEAD = len(MARK) + NAME_BYTES
NAME = "fast_graph"
"""How the checkpoints' types name this cipher."""


class Keyring:
    """Seals with the first key and opens with all, so that keys can be changed while old values stay.

    Sealed bytes are a mark, the key's name (the start of its hash), a random nonce, and what AES-GCM makes of the rest.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        """``keys`` are 32 bytes each, in base64. Raises ConfigurationError, which repeats none of them."""
        decoded = [_decoded(key) for key in keys]
        self._first = _name(decoded[0])
        self._ciphers = {_name(key): AESGCM(key) for key in decoded}

    @property
    def first(self) -> str:
        """The name of the key that seals."""
        return self._first.hex()

    def seal(self, plain: bytes) -> bytes:
        """The bytes as nobody can read or change them without the key."""
        head, nonce = MARK + self._first, os.urandom(NONCE_BYTES)
        return head + nonce + self._ciphers[self._first].encrypt(nonce, plain, head)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed; what never was, as it is. Raises SealedError for an unknown key, and for other bytes."""
        if not sealed.startswith(MARK):
            return sealed
        name = sealed[len(MARK) : HEAD]
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SealedError(
                f"This was encrypted with the key {name.hex()}, which is not among FAST_GRAPH_ENCRYPTION_KEYS"
            )
        nonce, rest = sealed[HEAD : HEAD + NONCE_BYTES], sealed[HEAD + NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, rest, sealed[:HEAD])
        except (InvalidTag, ValueError) as error:
            raise SealedError(f"This was encrypted with the key {name.hex()}, and was changed since") from error

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        """``seal``, as LangGraph's serialiser calls it."""
        return NAME, self.seal(plaintext)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        """``open``, as LangGraph's serialiser calls it."""
        if ciphername != NAME:
            raise SealedError(f"This was encrypted by {ciphername[:40]}, not by FastGraph")
        return self.open(ciphertext)

    def serializer(self) -> EncryptedSerializer:
        """LangGraph's serialiser of checkpoints, with this cipher."""
        return EncryptedSerializer(self)


def _name(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:NAME_BYTES]


def _decoded(key: str) -> bytes:
    try:
        decoded = b64decode(key, validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != KEY_BYTES:
        raise ConfigurationError(
            "A key of FAST_GRAPH_ENCRYPTION_KEYS is not 32 bytes in base64: make one with openssl rand -base64 32"
        )
    return decoded


def as_text(sealed: bytes) -> str:
    """Sealed bytes where only text can be kept."""
    return b64encode(sealed).decode()


def as_bytes(text: str) -> bytes:
    """The opposite of ``as_text``. Raises SealedError."""
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise SealedError("What should be encrypted was changed since") from error
