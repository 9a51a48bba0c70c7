"""Auth objects, functions, dependencies, keys and tokens, as clients see them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, HTTPException
from fastapi.security import HTTPBearer
from langgraph_sdk import Auth, get_client
from langgraph_sdk.runtime import ServerRuntime

from fast_graph import fastGraph
from fast_graph.auth.keys import new_key
from tests.protocol.contract.graphs import contract_graphs
from tests.protocol.doors import Door, Doors
from tests.protocol.graphs import protocol_graphs
from tests.protocol.keeping import Installation
from tests.protocol.requirements import covers
from tests.protocol.serving import PATIENCE, in_process, served
from tests.services.issuer import issuing

ALICE, BOB = {"authorization": "alice"}, {"authorization": "bob"}
RUN = {"assistant_id": "echo", "input": {}, "if_not_exists": "create"}
GONE = {"__error__": {"error": "HTTPException", "message": "404: Run not found"}}

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
Handler = Callable[[Any, Any], Any]


@pytest.fixture
def serve(installation: Installation, doors: Doors) -> Serve:
    """Serves with what is given as ``auth``, and other graphs or settings on request."""

    @asynccontextmanager
    async def serving(auth: Any, graphs: Any = None, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        with installation() as settings:
            changed = settings.model_copy(update=changes)
            app = fastGraph(graphs or protocol_graphs(doors), settings=changed, auth=auth)
            async with in_process(app) as client:
                yield client

    return serving


def allowing(handler: Handler | None = None) -> Auth:
    """Everybody is who they say they are, and one handler decides all."""
    auth = Auth()

    @auth.authenticate
    async def authenticate(authorization: str) -> dict[str, Any]:
        return {"identity": authorization, "team": "blue", "secret": "xyzzy", "socket": object()}

    if handler is not None:

        @auth.on
        async def anything(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Any:
            return handler(ctx, value)

    return auth


def own(ctx: Any, value: dict[str, Any]) -> dict[str, str]:
    value.setdefault("metadata", {})["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}


async def ids(client: httpx.AsyncClient, headers: Mapping[str, str], **query: Any) -> list[str]:
    """The threads that a search finds."""
    found = await client.post("/threads/search", json=query, headers=headers)
    assert found.status_code == 200, found.text
    return sorted(row["thread_id"] for row in found.json())


# Who asks


@covers("auth.authenticate")
async def test_a_function_says_who_asks_or_refuses_by_itself(serve: Serve) -> None:
    auth = Auth()

    def authenticate(authorization: str | None, path: str, method: str, headers: Mapping[Any, Any]) -> str:
        if authorization is None:
            raise Auth.exceptions.HTTPException
        if authorization == "broken":
            raise ZeroDivisionError("the password is 1234")
        if path == "/threads/count":
            raise Auth.exceptions.HTTPException(403, f"{method} {headers['x-why']}", headers={"x-said": "so"})
        return authorization

    auth.authenticate(authenticate)  # type: ignore[type-var] # plain functions will do as well
    async with serve(auth) as client:
        answers = [
            await client.post("/threads/search", json={}),
            await client.post("/threads/count", json={}, headers={**ALICE, "x-why": "not you"}),
            await client.post("/threads/search", json={}, headers=ALICE),
            await client.post("/threads/search", json={}, headers={"authorization": "broken"}),
        ]
    assert [answer.status_code for answer in answers] == [401, 403, 200, 500]
    assert [answer.json() for answer in answers[:2]] == [{"detail": "Unauthorized"}, {"detail": "POST not you"}]
    assert answers[1].headers["x-said"] == "so"
    assert "1234" not in answers[3].text


@covers("auth.dependency")
async def test_a_dependency_says_who_asks(serve: Serve) -> None:
    ended: list[str] = []

    async def session() -> AsyncIterator[str]:
        yield "session"
        ended.append("session")

    def user(
        token: Annotated[Any, Depends(HTTPBearer())], session: Annotated[str, Depends(session)]
    ) -> dict[str, str] | None:
        if token.credentials == "taken away":
            raise HTTPException(403, "no more")
        return None if token.credentials == "nobody" else {"identity": token.credentials, "session": session}

    async with serve(Depends(user)) as client:
        tokens = ("alice", "nobody", "taken away")
        answers = [
            await client.post("/threads", json={}, headers={"authorization": f"Bearer {token}"}) for token in tokens
        ]
        without = await client.post("/threads", json={})
    assert [answer.status_code for answer in answers] == [200, 401, 403]
    assert answers[0].json()["metadata"] == {"owner": "alice"}
    assert (without.status_code, without.json()) == (401, {"detail": "Not authenticated"})
    assert ended


@covers("auth.keys")
async def test_a_key_says_who_asks(serve: Serve) -> None:
    key, entry = new_key("alice@example.com")
    async with serve(None, api_keys=str(entry)) as client:
        await client.put("/store/items", json={"namespace": ["a"], "key": "k", "value": {}}, headers={"x-api-key": key})
        found = await client.post("/store/items/search", json={}, headers={"x-api-key": key})
        wrong = await client.post("/store/items/search", json={}, headers={"x-api-key": key + "x"})
    assert found.json()["items"][0]["namespace"] == ["alice@example%2Ecom", "a"]
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "The API key is not valid"})


@covers("access.store")
async def test_identities_that_begin_alike_share_no_items(serve: Serve) -> None:
    lookalikes = ["al", "alice", "alice2", "al_ce", "al%", "*", "alice.x", "a"]
    async with serve(lambda authorization: authorization) as client:
        for name in lookalikes:
            item = {"namespace": ["x"], "key": "k", "value": {"of": name}}
            await client.put("/store/items", json=item, headers={"authorization": name})
        for name in lookalikes:
            headers = {"authorization": name}
            found = (await client.post("/store/items/search", json={}, headers=headers)).json()["items"]
            listed = (await client.post("/store/namespaces", json={"prefix": ["*"]}, headers=headers)).json()
            assert ([item["value"] for item in found], len(listed["namespaces"])) == ([{"of": name}], 1)


# What they may


@covers("auth.filter")
async def test_a_filter_decides_which_threads_exist(serve: Serve) -> None:
    def handler(ctx: Any, value: Any) -> Any:
        if ctx.action in ("create", "create_run"):
            return None
        return {"room": {"$eq": "red"}, "people": {"$contains": ctx.user.identity}}

    async with serve(allowing(handler)) as client:
        for name, room, people in [("a", "red", ["alice"]), ("b", "red", ["alice", "bob"]), ("c", "blue", ["bob"])]:
            body = {"thread_id": name, "metadata": {"room": room, "people": people}}
            await client.post("/threads", json=body, headers=ALICE)
            await client.post(f"/threads/{name}/runs/wait", json=RUN, headers=ALICE)
        assert [await ids(client, headers) for headers in (ALICE, BOB)] == [["a", "b"], ["b"]]
        assert (await client.get("/threads/a/state", headers=BOB)).status_code == 404
        assert len((await client.get("/threads/b/runs", headers=BOB)).json()) == 1


@covers("auth.mutation")
async def test_what_a_handler_writes_is_stored(serve: Serve) -> None:
    async with serve(allowing(own)) as client:
        theirs = {"metadata": {"owner": "bob", "topic": "x"}}
        made = (await client.post("/threads", json=theirs, headers=ALICE)).json()
        named = (await client.post("/assistants", json={"graph_id": "echo", **theirs}, headers=ALICE)).json()
        patched = (await client.patch(f"/threads/{made['thread_id']}", json=theirs, headers=ALICE)).json()
        runs = (await client.post("/threads/t/runs", json={**RUN, **theirs}, headers=ALICE)).json()
        thread = (await client.get("/threads/t", headers=ALICE)).json()
    kept = [made["metadata"], named["metadata"], patched["metadata"], runs["metadata"]]
    assert [(metadata["owner"], metadata["topic"]) for metadata in kept] == [("alice", "x")] * 4
    assert thread["metadata"] == {"owner": "alice", "graph_id": "echo", "assistant_id": runs["assistant_id"]}


@covers("auth.mutation")
@pytest.mark.parametrize("given", [{}, {"owner": "alice"}, {"owner": "bob"}])
async def test_the_thread_that_a_run_makes_is_its_makers(serve: Serve, given: dict[str, str]) -> None:
    async with serve(allowing(own)) as client:
        body = {**RUN, "metadata": given}
        await client.post("/threads/t/runs/wait", json=body, headers=ALICE)
        alone = (await client.post("/runs", json={**body, "on_completion": "keep"}, headers=ALICE)).json()
        assert (await client.get(f"/runs/{alone['run_id']}", headers=BOB)).status_code == 404
        assert await ids(client, ALICE) == sorted(["t", alone["thread_id"]])
        assert await ids(client, BOB) == []


@covers("auth.forbidden")
async def test_a_handler_forbids_or_answers_by_itself(serve: Serve) -> None:
    def handler(ctx: Any, value: Any) -> Any:
        if ctx.action == "create_run":
            raise Auth.exceptions.HTTPException(409, "not today")
        return ctx.action != "create"

    async with serve(allowing(handler)) as client:
        made = await client.post("/threads", json={"thread_id": "t"}, headers=ALICE)
        runs = [await client.post(path, json=RUN, headers=ALICE) for path in ("/runs", "/threads/t/runs/stream")]
        batch = await client.post("/runs/batch", json=[RUN], headers=ALICE)
        assert await ids(client, ALICE) == []
    assert (made.status_code, made.json()) == (403, {"detail": "Forbidden"})
    assert {(run.status_code, run.text) for run in (*runs, batch)} == {(409, '{"detail":"not today"}')}


@covers("auth.broken")
async def test_a_filter_that_nobody_understands_shows_nothing(serve: Serve) -> None:
    def handler(ctx: Any, value: Any) -> Any:
        return None if ctx.action == "create" else {"owner": {"$ne": "bob"}}

    async with serve(allowing(handler)) as client:
        await client.post("/threads", json={"thread_id": "t"}, headers=ALICE)
        answers = [await client.get("/threads/t", headers=ALICE)]
        answers.append(await client.post("/threads/search", json={}, headers=ALICE))
    assert [answer.status_code for answer in answers] == [500, 500]
    assert "$ne" not in answers[0].text


@covers("auth.values")
async def test_handlers_are_shown_what_is_asked_for(serve: Serve) -> None:
    seen: dict[tuple[str, str], set[str]] = {}

    def handler(ctx: Any, value: dict[str, Any]) -> None:
        seen.setdefault((ctx.resource, ctx.action), set(value))

    async with serve(allowing(handler)) as client:

        async def ask(method: str, path: str, body: Any = None) -> Any:
            answer = await client.request(method, path, json=body, headers=ALICE)
            assert answer.status_code < 300, answer.text
            return answer.json() if answer.content else None

        await ask("POST", "/threads", {"thread_id": "t"})
        await ask("POST", "/threads/t/runs/wait", RUN)
        await ask("GET", "/threads/t")
        await ask("PATCH", "/threads/t", {"metadata": {}})
        await ask("POST", "/threads/search", {})
        await ask("DELETE", "/threads/t")
        made = await ask("POST", "/assistants", {"graph_id": "echo"})
        await ask("GET", f"/assistants/{made['assistant_id']}")
        await ask("PATCH", f"/assistants/{made['assistant_id']}", {"name": "n"})
        await ask("POST", "/assistants/search", {})
        await ask("DELETE", f"/assistants/{made['assistant_id']}")
        item = {"namespace": ["a"], "key": "k"}
        await ask("PUT", "/store/items", {**item, "value": {}})
        await ask("GET", "/store/items?namespace=a&key=k")
        await ask("POST", "/store/items/search", {})
        await ask("POST", "/store/namespaces", {})
        await ask("DELETE", "/store/items", item)
    run = (
        "thread_id assistant_id run_id status metadata prevent_insert_if_inflight multitask_strategy if_not_exists "
        "after_seconds kwargs"
    )
    assert {operation: " ".join(sorted(keys)) for operation, keys in seen.items()} == {
        operation: " ".join(sorted(keys.split()))
        for operation, keys in {
            ("threads", "create"): "thread_id metadata if_exists",
            ("threads", "read"): "thread_id",
            ("threads", "update"): "thread_id metadata",
            ("threads", "delete"): "thread_id",
            ("threads", "search"): "metadata values status limit offset",
            ("threads", "create_run"): run,
            ("assistants", "create"): "assistant_id graph_id config context metadata name if_exists",
            ("assistants", "read"): "assistant_id",
            ("assistants", "update"): "assistant_id metadata name",
            ("assistants", "delete"): "assistant_id",
            ("assistants", "search"): "graph_id metadata limit offset",
            ("store", "put"): "namespace key value index ttl",
            ("store", "get"): "namespace key",
            ("store", "search"): "namespace filter limit offset query",
            ("store", "list_namespaces"): "namespace suffix max_depth limit offset",
            ("store", "delete"): "namespace key",
        }.items()
    }


@covers("auth.search")
async def test_a_search_for_what_is_anothers_finds_nothing(serve: Serve) -> None:
    def limited(ctx: Any, value: Any) -> dict[str, str]:
        if ctx.action in ("create", "create_run"):
            value["metadata"]["owner"] = ctx.user.identity
        return {"owner": ctx.user.identity}

    async with serve(allowing(limited)) as client:
        body = {"thread_id": "t", "metadata": {"deep": {"er": [1, 2]}}}
        await client.post("/threads", json=body, headers=ALICE)
        await client.post("/threads/t/runs/wait", json={**RUN, "input": {"text": "hello"}}, headers=ALICE)
        values = (await client.get("/threads/t", headers=ALICE)).json()["values"]
        queries: list[dict[str, Any]] = [
            {"metadata": {"deep": {"er": [2]}}}, {"metadata": {"owner": "alice"}}, {"ids": ["t"]},
            {"status": "idle"}, {"values": values},
        ]  # fmt: skip
        for query in queries:
            assert [await ids(client, ALICE, **query), await ids(client, BOB, **query)] == [["t"], []], query


# What is another's


@covers("auth.copy")
async def test_a_copy_is_its_makers(serve: Serve) -> None:
    def handler(ctx: Any, value: Any) -> Any:
        if ctx.action in ("create", "create_run"):
            value["metadata"].update(owner=ctx.user.identity, readers=["alice", "bob"])
        key = "readers" if ctx.action == "read" else "owner"
        return {key: {"$contains": ctx.user.identity} if key == "readers" else ctx.user.identity}

    async with serve(allowing(handler)) as client:
        await client.post("/threads/t/runs/wait", json=RUN, headers=ALICE)
        copied = (await client.post("/threads/t/copy", headers=BOB)).json()
        eve = await client.post("/threads/t/copy", headers={"authorization": "eve"})
        states = [
            (await client.get(f"/threads/{thread}/state", headers=BOB)).json()["values"]
            for thread in ("t", copied["thread_id"])
        ]
    assert copied["metadata"]["owner"] == "bob"
    assert states[0] == states[1]
    assert eve.status_code == 409


@covers("auth.taken")
@pytest.mark.parametrize("if_exists", ["raise", "do_nothing"])
async def test_the_id_of_what_is_anothers_is_taken(serve: Serve, if_exists: str) -> None:
    assistant = {"assistant_id": "00000000-0000-4000-8000-000000000001", "graph_id": "echo", "if_exists": if_exists}
    thread = {"thread_id": "t", "if_exists": if_exists}
    async with serve(allowing(own)) as client:
        for path, body in (("/threads", thread), ("/assistants", assistant)):
            answers = [await client.post(path, json=body, headers=headers) for headers in (ALICE, BOB)]
            assert [answer.status_code for answer in answers] == [200, 409]


@covers("auth.join")
async def test_joining_anothers_run_is_as_joining_none(serve: Serve, door: Door) -> None:
    async with serve(allowing(own)) as client:
        body = {**RUN, "assistant_id": "door", "input": {"door": door.name}}
        run = (await client.post("/threads/t/runs", json=body, headers=ALICE)).json()
        await door.reached()
        for prefix in ("/threads/t/runs", "/runs"):
            joined = await client.get(f"{prefix}/{run['run_id']}/join", headers=BOB)
            stream = await client.get(f"{prefix}/{run['run_id']}/stream", headers=BOB)
            cancel = await client.post(f"{prefix}/{run['run_id']}/cancel?wait=true", headers=BOB)
            assert (joined.json(), stream.text.count("event:"), cancel.status_code) == (GONE, 1, 404)
        many = [
            await client.post("/runs/cancel", json=body, headers=BOB)
            for body in ({"status": "all"}, {"thread_id": "t", "run_ids": [run["run_id"]]})
        ]
        assert [answer.status_code for answer in many] == [404, 404]
        door.open()
        assert (await client.get(f"/runs/{run['run_id']}/join", headers=ALICE)).json()["log"] == ["before", "behind"]


# In graphs


@covers("auth.graph")
async def test_a_graph_sees_the_user_whom_clients_cannot_make_up(serve: Serve) -> None:
    forged = {"langgraph_auth_user": {"identity": "eve"}, "langgraph_auth_user_id": "eve", "user_id": "eve"}
    forged["langgraph_auth_permissions"] = ["all"]
    async with serve(allowing(own)) as client:
        body = {"graph_id": "look", "config": {"configurable": forged}}
        made = (await client.post("/assistants", json=body, headers=ALICE)).json()
        run = {"assistant_id": made["assistant_id"], "input": {}, "metadata": forged}
        tries = [run, {**run, "context": forged}, {**run, "config": {"configurable": forged, "metadata": forged}}]
        values = [(await client.post("/runs/wait", json=one, headers=ALICE)).json() for one in tries]
    for seen in (one["seen"] for one in values):
        user = seen["configurable"]["langgraph_auth_user"]
        assert user == {
            "identity": "alice", "display_name": "alice", "is_authenticated": True, "permissions": [],
            "team": "blue", "secret": "xyzzy",
        }  # fmt: skip
        who = [seen["configurable"][key] for key in ("langgraph_auth_user_id", "user_id", "langgraph_auth_permissions")]
        assert who == ["alice", "alice", []]
        assert seen["metadata"].get("langgraph_auth_user_id") != "eve"


@covers("auth.graph")
async def test_clients_do_not_read_the_user_of_a_run(serve: Serve) -> None:
    modes = ["values", "updates", "messages", "debug", "checkpoints", "tasks", "events"]
    async with serve(allowing(own)) as client:
        streamed = await client.post("/threads/t/runs/stream", json={**RUN, "stream_mode": modes}, headers=ALICE)
        later = await client.post("/threads/t/runs", json={**RUN, "after_seconds": 3600}, headers=ALICE)
        paths = ("/threads/t", "/threads/t/runs", "/threads/t/state", "/threads/t/history")
        told = [await client.get(path, headers=ALICE) for path in paths]
    for answer in (streamed, later, *told):
        assert answer.status_code == 200
        assert "xyzzy" not in answer.text


@covers("auth.factory")
async def test_a_factory_sees_the_user_whatever_it_is_opened_for(serve: Serve) -> None:
    seen: set[tuple[str, str]] = set()

    def factory(runtime: ServerRuntime[Any]) -> Any:
        seen.add((runtime.access_context, runtime.ensure_user().identity))
        return contract_graphs()["echo"]

    async with serve(allowing(own), {"made": factory}) as client:
        body = {"graph_id": "made", "config": {"configurable": {"langgraph_auth_user": {"identity": "eve"}}}}
        made = (await client.post("/assistants", json=body, headers=ALICE)).json()
        await client.get(f"/assistants/{made['assistant_id']}/schemas", headers=ALICE)
        await client.post("/threads/t/runs/wait", json={**RUN, "assistant_id": made["assistant_id"]}, headers=ALICE)
        await client.get("/threads/t/state", headers=ALICE)
        update = {"values": {"messages": []}, "as_node": "echo"}
        assert (await client.post("/threads/t/state", json=update, headers=ALICE)).status_code == 200
    access = ("assistants.read", "threads.create_run", "threads.read", "threads.update")
    assert seen == {(one, "alice") for one in access}


# Tokens


@covers("auth.expiry", "auth.rotation")
@pytest.mark.parametrize("ends_by", ["expiry", "rotation"])
async def test_a_stream_outlives_its_token(installation: Installation, doors: Doors, door: Door, ends_by: str) -> None:
    with installation() as settings, issuing() as issuer:
        changes = {"jwt_jwks_url": issuer.url, "jwt_jwks_ttl": 0.05, "jwt_issuer": "us", "jwt_audience": "them,ours"}
        app = fastGraph(protocol_graphs(doors), settings=settings.model_copy(update=changes))
        claims: dict[str, Any] = {"iss": "us", "aud": "ours"}
        token = issuer.token("alice", lasts=2 if ends_by == "expiry" else 600, **claims)
        with served(app) as address:
            async with get_client(url=address, headers={"Authorization": f"Bearer {token}"}) as client:
                stream = client.runs.stream(None, "door", input={"door": door.name}, stream_mode="updates")
                parts = [(await anext(stream)).event]
                await door.reached()
                if ends_by == "rotation":
                    issuer.rotate()
                await is_refused(address, token)
                door.open()
                parts += [part.event async for part in stream]
            fresh = {"Authorization": f"Bearer {issuer.token('alice', **claims)}"}
            async with httpx.AsyncClient(base_url=address, headers=fresh) as client_of_new:
                assert (await client_of_new.post("/threads/search", json={})).status_code == 200
    assert parts == ["metadata", "updates", "updates"]


async def is_refused(address: str, token: str) -> None:
    """Wait until the token is not taken any more."""
    headers = {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=address, headers=headers) as client:
        while (await client.post("/threads/search", json={})).status_code != 401:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
