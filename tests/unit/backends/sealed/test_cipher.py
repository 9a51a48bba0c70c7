from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_graph.backends.sealed.cipher import Keyring
from fast_graph.model.errors import ConfigurationError, SealedError

OLD, NEW = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))


@given(st.binary())
def test_what_is_sealed_can_be_opened_by_every_later_ring(plain: bytes) -> None:
    sealed = Keyring([OLD]).seal(plain)
    assert Keyring([NEW, OLD]).open(sealed) == plain
    assert not plain or plain not in sealed or len(plain) < 4


def test_the_same_is_never_sealed_the_same() -> None:
    ring = Keyring([OLD])
    assert ring.seal(b"text") != ring.seal(b"text")


def test_the_first_key_seals() -> None:
    sealed = Keyring([NEW, OLD]).seal(b"text")
    assert Keyring([NEW]).open(sealed) == b"text"
    with pytest.raises(SealedError, match="not among FAST_GRAPH_ENCRYPTION_KEYS"):
        Keyring([OLD]).open(sealed)


def test_what_was_changed_is_not_opened() -> None:
    ring = Keyring([OLD])
    sealed = ring.seal(b"text")
    for place in range(4, len(sealed)):
        changed = bytes([*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]])
        with pytest.raises(SealedError):
            ring.open(changed)
    for length in range(4, len(sealed)):
        with pytest.raises(SealedError):
            ring.open(sealed[:length])


@pytest.mark.parametrize("plain", [b"", b"{}", b'{"a":1}', b"\x00"])
def test_what_was_never_sealed_is_itself(plain: bytes) -> None:
    assert Keyring([OLD]).open(plain) == plain


@pytest.mark.parametrize(
    "key", ["", "short", b64encode(bytes(31)).decode(), "\u00e4" * 44, b64encode(bytes(33)).decode()]
)
def test_a_key_of_another_length_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand"):
        Keyring([key])
