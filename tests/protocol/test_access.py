"""Every operation, for three callers: the owner of what is asked for, somebody else, and nobody known."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from langgraph_sdk import Auth

from fast_graph import Runtime, fastGraph
from tests.protocol.access import ACCESS, OPEN, Access, filled
from tests.protocol.contract.graphs import contract_graphs
from tests.protocol.keeping import Installation
from tests.protocol.requirements import covers
from tests.protocol.serving import in_process

ALICE, BOB, NOBODY = {"authorization": "alice"}, {"authorization": "bob"}, {"authorization": "eve"}
IDENTITIES = ("alice", "bob")


def known(authorization: str | None) -> str | None:
    return authorization if authorization in IDENTITIES else None


def handlers() -> Auth:
    """As most people write them."""
    auth = Auth()
    auth.authenticate(known)  # type: ignore[type-var] # plain functions will do as well

    @auth.on
    async def own(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> dict[str, str]:
        value.setdefault("metadata", {})["owner"] = ctx.user.identity
        return {"owner": ctx.user.identity}

    @auth.on.store
    async def own_items(ctx: Auth.types.AuthContext, value: Any) -> None:
        value["namespace"] = (ctx.user.identity, *(value["namespace"] or ()))

    return auth


@pytest.fixture(params=[known, handlers()], ids=["owners", "handlers"])
async def server(request: pytest.FixtureRequest, installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    with installation() as settings:
        async with in_process(fastGraph(contract_graphs(), settings=settings, auth=request.param)) as client:
            yield client


@pytest.fixture
async def things(server: httpx.AsyncClient) -> Mapping[str, str]:
    """What Alice has, by the names that paths call it."""

    async def made(method: str, path: str, **body: Any) -> Any:
        answer = await server.request(method, path, json=body, headers=ALICE)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    mine = await made("POST", "/assistants", graph_id="echo", metadata={"kind": "private"})
    run = {"assistant_id": mine["assistant_id"], "input": {}, "if_not_exists": "create"}
    done = await server.post("/threads/mine/runs/wait", json=run, headers=ALICE)
    pending = await made("POST", "/threads/later/runs", **run, after_seconds=3600)
    await made("PUT", "/store/items", namespace=["notes"], key="k", value={"by": "alice"})
    return {
        "assistant_id": mine["assistant_id"],
        "thread_id": "mine",
        "run_id": done.headers["content-location"].rpartition("/")[2],
        "pending": pending["run_id"],
        "checkpoint_id": (await server.get("/threads/mine/state", headers=ALICE)).json()["checkpoint_id"],
        "namespace": "x",
    }


def routes() -> set[str]:
    found = (route for route in Runtime({}).router.routes if isinstance(route, APIRoute))
    return {f"{method} {route.path}" for route in found for method in route.methods or ()}


@covers("access.matrix")
def test_every_operation_says_for_whom_it_is() -> None:
    assert routes() == ACCESS.keys() | set(OPEN)


@covers("access.matrix")
@pytest.mark.parametrize("operation", ACCESS)
async def test_an_operation_is_for_its_owner(
    operation: str, server: httpx.AsyncClient, things: Mapping[str, str]
) -> None:
    access = ACCESS[operation]
    nobody = await asked(server, operation, access, things, NOBODY)
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    other = await asked(server, operation, access, things, BOB)
    assert other.status_code == access.other, other.text
    if access.says is not None:
        assert (other.text if isinstance(access.says, str) else other.json()) == access.says
    owner = await asked(server, operation, access, things, ALICE)
    assert owner.status_code == access.owner, owner.text
    assert owner.text != other.text or not owner.content


async def asked(
    server: httpx.AsyncClient, operation: str, access: Access, things: Mapping[str, str], headers: Mapping[str, str]
) -> httpx.Response:
    method, _, path = operation.partition(" ")
    where, body = filled(access.path or path, things), filled(access.body, things)
    return await server.request(method, f"{where}?{access.query}", json=body, headers=headers)


@covers("access.open")
async def test_the_server_tells_everybody_about_itself(server: httpx.AsyncClient) -> None:
    for operation in (*OPEN, "GET /docs", "GET /openapi.json"):
        method, _, path = operation.partition(" ")
        assert (operation, (await server.request(method, path)).status_code) == (operation, 200)


@covers("access.first")
async def test_who_asks_comes_before_what_is_asked(server: httpx.AsyncClient) -> None:
    for operation in ACCESS:
        method, _, path = operation.partition(" ")
        answer = await server.request(method, path.replace("{", "").replace("}", ""), content=b"{no json")
        assert (operation, answer.status_code, list(answer.json())) == (operation, 401, ["detail"])


@covers("access.store")
async def test_what_others_do_in_the_store_touches_nobody_elses_items(
    server: httpx.AsyncClient, things: Mapping[str, str]
) -> None:
    item = {"namespace": ["notes"], "key": "k"}
    await server.put("/store/items", json={**item, "value": {"by": "bob"}}, headers=BOB)
    await server.request("DELETE", "/store/items", json=item, headers=BOB)
    reached = [await server.get("/store/items?namespace=alice.notes&key=k", headers=BOB)]
    reached.append(await server.get("/store/items?namespace=notes&key=k", headers=BOB))
    assert [answer.json() for answer in reached] == [None, None]
    mine = (await server.get("/store/items?namespace=notes&key=k", headers=ALICE)).json()
    assert (mine["namespace"], mine["value"]) == (["alice", "notes"], {"by": "alice"})


@covers("access.graphs")
async def test_the_assistants_of_graphs_can_be_run_by_all_and_are_changed_by_nobody(server: httpx.AsyncClient) -> None:
    run = {"assistant_id": "echo", "input": {}}
    for headers in (ALICE, BOB):
        assert (await server.post("/runs/wait", json=run, headers=headers)).status_code == 200
        for method in ("PATCH", "DELETE"):
            answer = await server.request(method, "/assistants/echo", json={"name": "mine"}, headers=headers)
            assert answer.status_code == 404
