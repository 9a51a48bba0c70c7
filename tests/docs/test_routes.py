"""The README's table of the API is the API."""

import re

from fastapi.routing import APIRoute

from fast_graph import Runtime
from tests.docs.documents import README, rows

METHOD = re.compile(r"GET|POST|PUT|PATCH|DELETE")


def test_the_readme_lists_exactly_the_routes_there_are() -> None:
    routes = [route for route in Runtime({}).router.routes if isinstance(route, APIRoute)]
    there_are = sorted((route.path, method) for route in routes for method in route.methods or () if method != "HEAD")
    assert sorted((path, method) for method, path, _ in _listed()) == there_are


def test_the_readme_says_of_every_route_what_it_does() -> None:
    assert all(what for _, _, what in _listed())


def _listed() -> list[list[str]]:
    return [row for row in rows(README) if METHOD.fullmatch(row[0])]
