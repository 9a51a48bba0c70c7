"""Assistants, their versions, and what their graphs look like."""

from typing import Any

from tests.protocol.contract.driver import Driver, unique
from tests.protocol.contract.placeholders import ASSISTANTS, GRAPHS, NIL


def system_ids(driver: Driver) -> None:
    for graph in GRAPHS:
        wanted = {"graph_id": graph, "metadata": {"created_by": "system"}}
        found = driver.quiet("POST", "/assistants/search", wanted)
        columns = ("assistant_id", "name", "metadata", "version")
        driver.note(graph, [[row[column] for column in columns] for row in found])


def get(driver: Driver) -> None:
    driver.call("GET", f"/assistants/{ASSISTANTS['echo']}")
    driver.call("GET", f"/assistants/{NIL}")
    driver.call("GET", "/assistants/echo")


def create(driver: Driver) -> None:
    body = {"graph_id": "echo", "name": "n1", "description": "d", "metadata": {"k": 1}}
    driver.call("POST", "/assistants", {**body, "config": {"configurable": {"tone": "x"}}})


def create_unknown_graph(driver: Driver) -> None:
    driver.call("POST", "/assistants", {"graph_id": "nope"})


def conflict(driver: Driver) -> None:
    taken = {"graph_id": "echo", "assistant_id": driver.assistant()}
    driver.call("POST", "/assistants", taken)
    driver.call("POST", "/assistants", {**taken, "if_exists": "do_nothing"})


def patch(driver: Driver) -> None:
    assistant = driver.assistant(metadata={"k": 1}, name="n1")
    driver.call("PATCH", f"/assistants/{assistant}", {"name": "n2", "metadata": {"z": 2}})
    driver.call("PATCH", f"/assistants/{assistant}", {"graph_id": "chat", "config": {"tags": ["q"]}})
    driver.call("PATCH", f"/assistants/{NIL}", {"name": "x"})


def set_latest(driver: Driver) -> None:
    assistant = driver.assistant(name="v1")
    driver.quiet("PATCH", f"/assistants/{assistant}", {"name": "v2"})
    driver.call("POST", f"/assistants/{assistant}/latest", {"version": 1})
    driver.call("GET", f"/assistants/{assistant}")
    driver.call("POST", f"/assistants/{assistant}/latest", {"version": 99})
    driver.call("POST", f"/assistants/{NIL}/latest", {"version": 1})


def delete(driver: Driver) -> None:
    assistant = driver.assistant()
    driver.call("DELETE", f"/assistants/{assistant}")
    driver.call("GET", f"/assistants/{assistant}")
    driver.call("DELETE", f"/assistants/{assistant}")
    driver.call("DELETE", "/assistants/not-a-uuid")


def search_invalid(driver: Driver) -> None:
    for body in ({"limit": 0}, {"limit": 100000}, {"select": ["bogus"]}, {"sort_by": "bogus"}, {"offset": -1}):
        driver.call("POST", "/assistants/search", body)


def count(driver: Driver) -> None:
    tagged: dict[str, Any] = {"metadata": {"tag": unique()}}
    driver.assistant(**tagged)
    driver.assistant("chat", **tagged)
    driver.call("POST", "/assistants/count", tagged)
    driver.call("POST", "/assistants/count", {**tagged, "graph_id": "chat"})
    driver.call("POST", "/assistants/count", {"graph_id": "nope"})


def graph(driver: Driver) -> None:
    driver.call("GET", f"/assistants/{ASSISTANTS['steps']}/graph")


def graph_by_name(driver: Driver) -> None:
    driver.call("GET", "/assistants/steps/graph")


def graph_xray(driver: Driver) -> None:
    driver.call("GET", f"/assistants/{ASSISTANTS['parent']}/graph")
    for xray in ("true", "1", "-1"):
        driver.call("GET", f"/assistants/{ASSISTANTS['parent']}/graph", params={"xray": xray})
    driver.call("GET", f"/assistants/{NIL}/graph")


def schemas_messages(driver: Driver) -> None:
    found = driver.quiet("GET", f"/assistants/{ASSISTANTS['chat']}/schemas")
    inputs = sorted((found["input_schema"] or {}).get("properties", {}))
    driver.note("chat schema keys", {"top": sorted(found), "input": inputs})


def subgraphs(driver: Driver) -> None:
    of_parent = f"/assistants/{ASSISTANTS['parent']}/subgraphs"
    driver.call("GET", of_parent)
    driver.call("GET", of_parent, params={"recurse": "true"})
    driver.call("GET", f"{of_parent}/child")
    driver.call("GET", f"{of_parent}/nope")
    driver.call("GET", f"/assistants/{ASSISTANTS['echo']}/subgraphs")
