from typing import Any

import pytest

from fast_graph.auth.credentials import caller_from
from fast_graph.auth.owners import OwnerPolicy, own_label, own_namespace
from fast_graph.auth.policy import ANONYMOUS
from fast_graph.model.errors import UnauthenticatedError

POLICY = OwnerPolicy(private_store=True)
ALICE = caller_from("alice")


async def test_what_is_made_has_its_owner_whatever_the_client_says() -> None:
    for resource, action in [("threads", "create"), ("threads", "create_run"), ("assistants", "update")]:
        value: dict[str, Any] = {"metadata": {"owner": "bob", "a": 1}}
        assert await POLICY.authorize(ALICE, resource, action, value) == {"owner": "alice"}  # type: ignore[arg-type]
        assert value["metadata"] == {"owner": "alice", "a": 1}


async def test_assistants_of_nobody_are_for_reading() -> None:
    read = await POLICY.authorize(ALICE, "assistants", "read", {"assistant_id": "a"})
    assert read == {"owner": {"$in": ["alice", None]}}
    assert await POLICY.authorize(ALICE, "assistants", "delete", {"assistant_id": "a"}) == {"owner": "alice"}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ((), ("alice",)), (None, ("alice",)), (("a", "b"), ("alice", "a", "b")), (("alice", "a"), ("alice", "a")),
        (("bob",), ("alice", "bob")), (("*",), ("alice", "*")),
    ],
)  # fmt: skip
async def test_a_namespace_is_below_the_callers_own(asked: Any, given: Any) -> None:
    value = {"namespace": asked}
    await POLICY.authorize(ALICE, "store", "search", value)
    assert value["namespace"] == given


async def test_a_store_may_be_for_all() -> None:
    value = {"namespace": ("a",)}
    await OwnerPolicy(private_store=False).authorize(ALICE, "store", "search", value)
    assert value["namespace"] == ("a",)


def test_a_label_has_no_dots_and_is_no_wildcard() -> None:
    strange = ["a.b", "a%2Eb", "*", "a/b", "ä@x.y", "%", "a%25b"]
    labels = [own_label(identity) for identity in strange]
    assert not any("." in label or "*" in label for label in labels)
    assert len(set(labels)) == len(strange)


async def test_a_stranger_owns_nothing() -> None:
    with pytest.raises(UnauthenticatedError):
        await POLICY.authorize(ANONYMOUS, "threads", "read", {})


def test_whoever_has_the_name_of_langgraphs_own_label_may_write() -> None:
    assert own_namespace("langgraph", ("notes",)) == ("%6Canggraph", "notes")
    assert own_namespace("%6Canggraph", ("notes",)) != own_namespace("langgraph", ("notes",))
