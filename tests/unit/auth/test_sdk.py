"""Auth objects: what their functions are asked, and what becomes of what they say."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException
from langgraph_sdk import Auth
from pydantic import BaseModel

from fast_graph.auth.credentials import caller_from
from fast_graph.auth.policy import ANONYMOUS, Caller
from fast_graph.auth.sdk import AuthenticateFunction, SdkPolicy
from fast_graph.model.errors import ConfigurationError, ForbiddenError, RejectedError, UnauthenticatedError
from tests.unit.auth.asking import asking

ALICE = caller_from({"identity": "alice", "permissions": ["read"]})


class Person(BaseModel):
    identity: str
    team: str


@dataclass
class Account:
    identity: int
    team: str


# Who it is


@pytest.mark.parametrize(
    "found",
    [
        {"identity": "alice", "team": "blue"},
        Person(identity="alice", team="blue"),
        SimpleNamespace(identity="alice", team="blue", _hidden=1),
    ],
    ids=["a mapping", "a model", "an object"],
)
def test_a_user_is_read_by_key_and_by_attribute(found: object) -> None:
    user = caller_from(found).user
    assert user is not None
    assert (user.identity, user["team"], user.team, "team" in user) == ("alice", "blue", "blue", True)
    assert (user.display_name, user.is_authenticated, user.permissions) == ("alice", True, [])
    assert not hasattr(user, "nothing")


def test_a_text_is_an_identity_and_so_is_a_number() -> None:
    assert [caller_from("alice").identity, caller_from(Account(7, "blue")).identity] == ["alice", "7"]


NOBODY = {"identity": "alice", "is_authenticated": False}


@pytest.mark.parametrize("found", [None, "", {}, {"identity": ""}, {"identity": None}, object(), NOBODY, "\ud800"])
def test_nobody_is_unauthenticated(found: object) -> None:
    with pytest.raises(UnauthenticatedError):
        caller_from(found)


async def test_a_function_gets_the_parts_it_names() -> None:
    async def authenticate(
        request: Any, method: str, path: str, path_params: Any, query_params: Any, headers: Any,
        authorization: str | None, body: Any, extra: str = "mine",
    ) -> dict[str, Any]:  # fmt: skip
        parts = (method, path, path_params["thread_id"], query_params["limit"], authorization, body, extra)
        return {"identity": "alice", "parts": parts, "headers": (headers[b"x-team"], headers["X-Team"])}

    caller = await AuthenticateFunction(authenticate)(asking(authorization="Bearer x", x_team="blue"))
    assert caller.user is not None
    parts = ("POST", "/threads/t/runs", "t", "3", "Bearer x", {"assistant_id": "shout"}, "mine")
    assert (caller.user.parts, caller.user.headers) == (parts, (b"blue", "blue"))


async def test_a_plain_function_will_do_and_a_missing_header_is_none() -> None:
    assert (await AuthenticateFunction(lambda authorization: f"{authorization}")(asking())).identity == "None"


def test_a_parameter_that_nobody_can_fill_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="asks for 'token'"):
        AuthenticateFunction(lambda token: token)


@pytest.mark.parametrize("kind", [Auth.exceptions.HTTPException, HTTPException])
async def test_a_function_answers_by_itself(kind: Any) -> None:
    def authenticate() -> str:
        raise kind(status_code=418, detail="tea", headers={"x-pot": "short"})

    with pytest.raises(RejectedError, match="tea") as said:
        await AuthenticateFunction(authenticate)(asking())
    assert (said.value.status, said.value.headers) == (418, {"x-pot": "short"})


async def test_other_errors_are_nobodys_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        await AuthenticateFunction(lambda: 1 / 0)(asking())


# What they may


async def said(auth: Auth, resource: Any, action: str, value: dict[str, Any] | None = None) -> Any:
    return await SdkPolicy(auth).authorize(ALICE, resource, action, {} if value is None else value)


async def test_the_most_specific_handler_is_asked() -> None:
    auth = Auth()

    @auth.on
    async def anything(ctx: Any, value: Any) -> Any:
        return {"by": "anything"}

    @auth.on.threads
    async def threads(ctx: Any, value: Any) -> Any:
        return {"by": "threads"}

    @auth.on.threads.create
    async def create(ctx: Any, value: Any) -> Any:
        return {"by": "create"}

    @auth.on(actions=["search"])
    async def search(ctx: Any, value: Any) -> Any:
        return {"by": "search"}

    @auth.on.store(actions=("put", "get"))
    async def items(ctx: Any, value: Any) -> Any:
        return {"by": "items"}

    asked = [
        ("threads", "create"), ("threads", "read"), ("threads", "search"), ("assistants", "search"),
        ("assistants", "read"), ("store", "put"), ("store", "delete"),
    ]  # fmt: skip
    found = [(await said(auth, resource, action))["by"] for resource, action in asked]
    assert found == ["create", "threads", "threads", "search", "anything", "items", "anything"]


async def test_a_handler_knows_who_asks_for_what() -> None:
    auth, seen = Auth(), []

    @auth.on
    async def look(ctx: Auth.types.AuthContext, value: Any) -> None:
        seen.append((ctx.user.identity, list(ctx.permissions), ctx.resource, ctx.action, value))

    assert await said(auth, "threads", "read", {"thread_id": "t"}) == {}
    assert seen == [("alice", ["read"], "threads", "read", {"thread_id": "t"})]


@pytest.mark.parametrize(("result", "scope"), [(None, {}), (True, {}), ({"owner": "x"}, {"owner": "x"})])
async def test_what_a_handler_allows(result: Any, scope: Any) -> None:
    assert await said(saying(result), "threads", "read") == scope


async def test_false_is_forbidden() -> None:
    with pytest.raises(ForbiddenError):
        await said(saying(False), "threads", "read")


@pytest.mark.parametrize("result", ["yes", 1, [], {"owner": {"$ne": "x"}}, {"$or": []}, {"a": {"b": 1}}])
async def test_what_nobody_understands_allows_nothing(result: Any) -> None:
    with pytest.raises(ConfigurationError):
        await said(saying(result), "threads", "read")


async def test_nobody_is_asked_about_strangers() -> None:
    for caller in (ANONYMOUS, Caller("alice")):
        with pytest.raises(UnauthenticatedError):
            await SdkPolicy(Auth()).authorize(caller, "threads", "read", {})


def saying(result: Any) -> Auth:
    auth = Auth()

    @auth.on
    async def handler(ctx: Any, value: Any) -> Any:
        return result

    return auth


@pytest.mark.parametrize("action", ["create", "update", "create_run"])
async def test_nobody_makes_a_row_look_like_anothers(action: str) -> None:
    auth = Auth()

    @auth.on
    async def own(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> dict[str, str]:
        return {"owner": ctx.user.identity}

    policy = SdkPolicy(auth)
    with pytest.raises(ForbiddenError):
        await policy.authorize(ALICE, "threads", action, {"metadata": {"owner": "bob"}})
    for metadata in ({}, {"owner": "alice"}, {"kind": "a"}):
        assert await policy.authorize(ALICE, "threads", action, {"metadata": metadata}) == {"owner": "alice"}
    assert await policy.authorize(ALICE, "threads", "search", {"metadata": {"owner": "bob"}}) == {"owner": "alice"}
