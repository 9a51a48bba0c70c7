"""Threads and their life."""

from tests.protocol.contract.driver import Driver, unique
from tests.protocol.contract.placeholders import NIL


def create_conflict(driver: Driver) -> None:
    taken = {"thread_id": driver.thread()}
    driver.call("POST", "/threads", taken)
    driver.call("POST", "/threads", {**taken, "if_exists": "do_nothing"})


def create_invalid(driver: Driver) -> None:
    for body in ({"thread_id": "bad"}, {"if_exists": "zzz"}, {"metadata": "x"}):
        driver.call("POST", "/threads", body)
    driver.call("POST", "/threads", content=b"{")


def create_ttl(driver: Driver) -> None:
    driver.call("POST", "/threads", {"ttl": {"strategy": "delete", "ttl": 5}})
    driver.call("POST", "/threads", {"ttl": 5})


def create_supersteps(driver: Driver) -> None:
    first = {"updates": [{"values": {"log": ["s0"]}, "as_node": "__start__"}]}
    second = {"updates": [{"values": {"log": ["a"]}, "as_node": "a"}]}
    body = {"metadata": {"graph_id": "steps"}, "supersteps": [first, second]}
    thread = driver.call("POST", "/threads", body)["thread_id"]
    driver.call("GET", f"/threads/{thread}/history")


def get_errors(driver: Driver) -> None:
    driver.call("GET", f"/threads/{NIL}")
    driver.call("GET", "/threads/not-a-uuid")


def patch(driver: Driver) -> None:
    thread = driver.thread(metadata={"a": 1})
    driver.call("PATCH", f"/threads/{thread}", {"metadata": {"b": 2}})
    driver.call("PATCH", f"/threads/{thread}", {"metadata": {"a": 3}})
    driver.call("PATCH", f"/threads/{thread}", {"metadata": {"c": 3}}, headers={"Prefer": "return=minimal"})
    driver.call("PATCH", f"/threads/{NIL}", {"metadata": {}})


def delete(driver: Driver) -> None:
    thread = driver.thread()
    driver.call("DELETE", f"/threads/{thread}")
    driver.call("DELETE", f"/threads/{thread}")
    driver.call("DELETE", "/threads/not-a-uuid")


def after_run(driver: Driver) -> None:
    thread = driver.thread(metadata={"mine": True})
    driver.run(thread, "echo", {"content": "x"})
    driver.call("GET", f"/threads/{thread}")


def search_extract(driver: Driver) -> None:
    tagged = {"metadata": {"tag": unique()}}
    driver.run(driver.thread(**tagged), "steps", {"log": ["x"]})
    extract = {"l": "values.log[0]", "t": "metadata.tag", "no": "values.nope"}
    driver.call("POST", "/threads/search", {**tagged, "extract": extract, "select": ["status"]})
    driver.call("POST", "/threads/search", {**tagged, "extract": {"l": "zzz"}})


def search_invalid(driver: Driver) -> None:
    for body in ({"status": "zzz"}, {"sort_by": "zzz"}, {"limit": 0}, {"select": ["zzz"]}, {"ids": ["not-a-uuid"]}):
        driver.call("POST", "/threads/search", body)


def copy(driver: Driver) -> None:
    thread = driver.thread(metadata={"a": 1})
    driver.run(thread, "steps", {"log": ["x"]})
    copied = driver.call("POST", f"/threads/{thread}/copy")["thread_id"]
    driver.call("GET", f"/threads/{copied}/state")
    driver.note("history length", len(driver.quiet("GET", f"/threads/{copied}/history", params={"limit": 100})))
    driver.call("POST", f"/threads/{NIL}/copy")
