import pytest

from fast_graph.auth.keys import ApiKeys, digest_of, new_key, parse_entries
from fast_graph.model.errors import ConfigurationError, UnauthenticatedError
from tests.unit.auth.asking import asking


async def test_a_key_is_known_by_its_hash_alone() -> None:
    key, entry = new_key("alice")
    assert key not in str(entry)
    assert (await ApiKeys([entry])(asking(x_api_key=key))).identity == "alice"


async def test_two_keys_of_one_identity_are_both_good() -> None:
    (first, one), (second, other) = new_key("alice"), new_key("alice")
    keys = ApiKeys(parse_entries(f"{one}, {other}"))
    assert [(await keys(asking(x_api_key=key))).identity for key in (first, second)] == ["alice", "alice"]


async def test_whatever_else_is_sent_is_refused() -> None:
    key, entry = new_key("alice")
    for wrong in ("", key[:-1], key + "x", key.upper(), entry.digest, str(entry), "\xff"):
        with pytest.raises(UnauthenticatedError):
            await ApiKeys([entry])(asking(x_api_key=wrong))
    with pytest.raises(UnauthenticatedError):
        await ApiKeys([entry])(asking(authorization=f"Bearer {key}"))


def test_an_identity_may_have_colons() -> None:
    assert parse_entries(f"team:alice:{digest_of('x')}")[0].identity == "team:alice"


@pytest.mark.parametrize("text", ["", ",", "alice", "alice:", "alice:secret", f":{digest_of('x')}", f"a:{'g' * 64}"])
def test_what_is_no_entry_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="API key number 1 is not") as refused:
        parse_entries(text)
    assert "secret" not in str(refused.value)
