"""Tokens: which are taken, and which are not."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fast_graph.auth.jwt import PAUSE, FixedKey, KeySet, Tokens
from fast_graph.auth.policy import Caller
from fast_graph.model.errors import ConfigurationError, UnauthenticatedError, UnavailableError
from tests.services.issuer import Issuer, issuing
from tests.unit.auth.asking import asking

SECRET = "a secret of thirty-two bytes or more"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": "alice", "exp": time.time() + 600, **changes}


def token(key: Any = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    kept = {name: value for name, value in claims(**changes).items() if value is not None}
    return jwt.encode(kept, key, algorithm)


def forged(header: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims()).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def known(text: str, key: str = SECRET, **options: Any) -> Caller:
    return await Tokens(FixedKey(key), **options)(asking(authorization=f"Bearer {text}"))


async def refused(said: str, text: str, key: str = SECRET, **options: Any) -> None:
    with pytest.raises(UnauthenticatedError, match=said):
        await known(text, key, **options)


@pytest.mark.parametrize(
    ("key", "private", "algorithm"),
    [(SECRET, SECRET, "HS256"), (pem(RSA), RSA, "RS256"), (pem(EC), EC, "ES256")],
    ids=["HS256", "RS256", "ES256"],
)
async def test_each_kind_of_key_has_its_algorithm(key: str, private: Any, algorithm: str) -> None:
    assert (await known(token(private, algorithm), key)).identity == "alice"


async def test_the_claims_are_the_user() -> None:
    caller = await known(token(name="Alice", scope="read write", permissions=["admin"], team="blue"))
    assert caller.user is not None
    assert (caller.identity, caller.permissions) == ("alice", ("read", "write", "admin"))
    assert (caller.user.display_name, caller.user.team, caller.user["sub"]) == ("Alice", "blue", "alice")


@pytest.mark.parametrize("odd", ["admin", 5, {"admin": True}])
async def test_permissions_that_are_no_list_are_none(odd: Any) -> None:
    assert (await known(token(permissions=odd, scope=["read"]))).permissions == ()


async def test_an_expired_token_is_refused_but_for_the_leeway() -> None:
    late = token(exp=time.time() - 60)
    await refused("has expired", late)
    assert (await known(late, leeway=300)).identity == "alice"


async def test_a_token_that_is_not_valid_yet_is_refused_but_for_the_leeway() -> None:
    early = token(nbf=time.time() + 60)
    await refused("not valid yet", early)
    assert (await known(early, leeway=300)).identity == "alice"


async def test_a_token_for_somebody_else_is_refused() -> None:
    await refused("another audience", token(aud="them"), audience=["us", "ours"])
    await refused("not valid", token(), audience=["us"])
    await refused("another audience", token(aud="them"))
    assert (await known(token(aud=["them", "ours"]), audience=["us", "ours"])).identity == "alice"


async def test_a_token_by_somebody_else_is_refused() -> None:
    await refused("another issuer", token(iss="https://them"), issuer="https://us")
    await refused("not valid", token(), issuer="https://us")
    assert (await known(token(iss="https://us"), issuer="https://us")).identity == "alice"


async def test_a_token_by_another_key_is_refused() -> None:
    await refused("not valid", token(SECRET[::-1]))
    await refused("not valid", token(OTHER_RSA, "RS256"), pem(RSA))
    await refused("not valid", token(EC, "ES256"), pem(RSA))


@pytest.mark.parametrize("name", ["none", "None", "nOnE", ""])
async def test_a_token_without_a_signature_is_refused(name: str) -> None:
    for key in (SECRET, pem(RSA)):
        await refused("not valid", forged({"typ": "JWT", "alg": name}), key)


async def test_a_public_key_is_no_secret() -> None:
    """The classic: HS256 with the public key, which everybody has, as the secret."""
    signed = forged({"typ": "JWT", "alg": "HS256"}).rpartition(".")[0]
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signed.encode(), pem(RSA).encode())
    swapped = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    await refused("not valid", swapped, pem(RSA))


@pytest.mark.parametrize("missing", ["exp", "sub"])
async def test_a_token_that_lacks_what_counts_is_refused(missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    await refused("not valid", token(**without))


@pytest.mark.parametrize("text", ["x", "a.b.c", "...", "\xe4.\xe4.\xe4"])
async def test_what_is_no_token_is_refused(text: str) -> None:
    await refused("not valid", text)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi"])
async def test_no_token_is_refused(header: str) -> None:
    with pytest.raises(UnauthenticatedError, match="Send your token"):
        await Tokens(FixedKey(SECRET))(asking(authorization=header))


@pytest.mark.parametrize(
    "text",
    ["short", pem(RSA)[:100], pem(ec.generate_private_key(ec.SECP384R1()))],
    ids=["a short secret", "half a key", "another curve"],
)
def test_a_key_that_cannot_be_used_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigurationError, match="FAST_GRAPH_JWT_KEY"):
        FixedKey(text)


def test_a_key_may_be_written_in_one_line() -> None:
    FixedKey(pem(RSA).replace("\n", "\\n"))


# Published keys


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def in_vain(asking: Awaitable[object]) -> None:
    with pytest.raises(UnauthenticatedError):
        await asking


async def by(issuer: Issuer, keys: KeySet, **changes: Any) -> str:
    caller = await Tokens(keys)(asking(authorization=f"Bearer {issuer.token('alice', **changes)}"))
    return caller.identity


async def test_published_keys_are_read_once_for_many_tokens() -> None:
    with issuing() as issuer:
        keys = KeySet(issuer.url, lifetime=300, clock=Watch())
        assert [await by(issuer, keys) for _ in range(5)] == ["alice"] * 5
        assert issuer.reads == 1


async def test_a_new_key_is_found_and_the_old_one_lasts_until_they_are_read_again() -> None:
    with issuing() as issuer:
        watch = Watch()
        keys = KeySet(issuer.url, lifetime=300, clock=watch)
        before = f"Bearer {issuer.token('alice')}"
        await Tokens(keys)(asking(authorization=before))
        issuer.rotate()
        assert (await Tokens(keys)(asking(authorization=before))).identity == "alice"
        watch.now += PAUSE
        assert await by(issuer, keys) == "alice"
        with pytest.raises(UnauthenticatedError):
            await Tokens(keys)(asking(authorization=before))


async def test_tokens_that_name_made_up_keys_cause_no_storm() -> None:
    with issuing() as issuer:
        keys = KeySet(issuer.url, lifetime=300, clock=Watch())
        for number in range(5):
            with pytest.raises(UnauthenticatedError):
                await by(issuer, keys, kid=f"made up {number}")
        assert issuer.reads == 1


async def test_the_known_keys_stay_while_the_issuer_is_away() -> None:
    watch = Watch()
    with issuing() as issuer:
        keys = KeySet(issuer.url, lifetime=300, clock=watch)
        await by(issuer, keys)
    watch.now += 1000
    assert await by(issuer, keys) == "alice"
    with pytest.raises(UnavailableError):
        await by(issuer, KeySet(issuer.url, lifetime=300, clock=watch))


@pytest.mark.parametrize("answer", [b"<html>", b"\xff\xfe", b"[]"], ids=["a page", "noise", "no keys"])
async def test_an_answer_without_keys_is_as_none(answer: bytes) -> None:
    watch = Watch()
    with issuing() as issuer:
        keys = KeySet(issuer.url, lifetime=300, clock=watch)
        await by(issuer, keys)
        issuer.answer = answer
        watch.now += 1000
        assert [await by(issuer, keys) for _ in range(5)] == ["alice"] * 5
        assert issuer.reads == 2


async def test_who_has_a_known_key_does_not_wait_for_a_look_for_another() -> None:
    with issuing() as issuer:
        watch = Watch()
        keys = KeySet(issuer.url, lifetime=300, clock=watch)
        await by(issuer, keys)
        watch.now += PAUSE
        issuer.hush()
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(in_vain(by(issuer, keys, kid="made up")))
            await asyncio.to_thread(issuer.asked.wait)
            assert await by(issuer, keys) == "alice"
            watch.now += 1000
            assert await by(issuer, keys) == "alice"
            assert not looking.done()
            issuer.speak()


async def test_an_issuer_that_was_away_at_first_is_not_asked_by_everybody() -> None:
    watch = Watch()
    with issuing() as issuer:
        issuer.answer = b"no"
        keys = KeySet(issuer.url, lifetime=300, clock=watch)
        for _ in range(5):
            with pytest.raises(UnavailableError):
                await by(issuer, keys)
        assert issuer.reads == 1
        issuer.answer = None
        watch.now += PAUSE
        assert await by(issuer, keys) == "alice"


async def test_a_published_secret_is_not_taken() -> None:
    with issuing() as issuer:
        issuer.publish({"kty": "oct", "kid": "s", "k": base64.urlsafe_b64encode(SECRET.encode()).decode()})
        keys = KeySet(issuer.url, lifetime=300, clock=Watch())
        forgery = jwt.encode(claims(), SECRET, "HS256", headers={"kid": "s"})
        with pytest.raises(UnauthenticatedError):
            await Tokens(keys)(asking(authorization=f"Bearer {forgery}"))
