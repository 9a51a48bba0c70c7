"""Pages of other origins: what browsers are told about them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.serving import Site, serving

ORIGIN = {"origin": "https://page.example"}
EXPOSED = {"x-pagination-total", "x-pagination-next", "content-location", "location", "retry-after"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


async def preflight(site: Site, path: str, method: str, **more: str) -> tuple[int, dict[str, str]]:
    asked = {"access-control-request-method": method, "access-control-request-headers": "content-type,x-api-key"}
    response = await site.client.options(path, headers={**ORIGIN, **asked, **more})
    return response.status_code, dict(response.headers)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_preflight_allows_every_method_and_header(site: Site, method: str) -> None:
    status, headers = await preflight(site, "/threads/a%2Fb/runs/stream", method)
    assert status == 200
    assert headers["access-control-allow-origin"] == "*"
    assert method in headers["access-control-allow-methods"]
    assert headers["access-control-allow-headers"] == "content-type,x-api-key"
    assert headers["access-control-max-age"] == "600"


async def test_a_public_page_may_reach_a_server_on_a_private_network(site: Site) -> None:
    more = {"access-control-request-private-network": "true"}
    _, headers = await preflight(site, "/info", "GET", **more)
    assert headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ok", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/threads", 405),
        ("GET", "/threads/unknown", 404),
        ("POST", "/threads", 422),
        ("POST", "/runs/stream", 422),
    ],
)
async def test_every_answer_can_be_read_by_the_page(site: Site, method: str, path: str, status: int) -> None:
    response = await site.client.request(method, path, headers=ORIGIN)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "*"
    exposed = response.headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
    assert set(exposed) == EXPOSED


@pytest.mark.parametrize("path", ["/runs/stream", "/runs/wait"])
async def test_runs_can_be_followed_by_the_page(site: Site, path: str) -> None:
    body = {"assistant_id": "tokens", "input": {"count": 1}}
    response = await site.client.post(path, json=body, headers=ORIGIN)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["location"]


async def test_only_the_origins_of_the_settings_are_let_in() -> None:
    async with serving(cors_origins=["https://friend.example"]) as site:
        friend = await site.client.get("/ok", headers={"origin": "https://friend.example"})
        assert friend.headers["access-control-allow-origin"] == "https://friend.example"
        assert "origin" in friend.headers["vary"].lower()
        stranger = await site.client.get("/ok", headers=ORIGIN)
        assert "access-control-allow-origin" not in stranger.headers
        assert (await preflight(site, "/ok", "GET"))[0] == 400
