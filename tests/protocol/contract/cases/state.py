"""The state of threads: now, then, and edited."""

from typing import Any

from tests.protocol.contract.driver import Driver
from tests.protocol.contract.placeholders import NIL


def _history(driver: Driver, thread: str, limit: int) -> Any:
    return driver.quiet("GET", f"/threads/{thread}/history", params={"limit": limit})


def empty(driver: Driver) -> None:
    thread = driver.thread()
    driver.call("GET", f"/threads/{thread}/state")
    driver.call("GET", f"/threads/{thread}/history")


def unknown_thread(driver: Driver) -> None:
    driver.call("GET", f"/threads/{NIL}/state")
    driver.call("GET", f"/threads/{NIL}/history")
    driver.call("POST", f"/threads/{NIL}/state", {"values": {}})


def after_run(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "echo", {"content": "x"}, metadata={"m": 1})
    driver.call("GET", f"/threads/{thread}/state")


def failed(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "failing", {"content": "q"})
    driver.call("GET", f"/threads/{thread}/state")
    driver.call("GET", f"/threads/{thread}")


def at_checkpoint(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "steps", {"log": ["x"]})
    checkpoint = _history(driver, thread, 3)[2]["checkpoint"]
    driver.call("GET", f"/threads/{thread}/state/{checkpoint['checkpoint_id']}")
    driver.call("POST", f"/threads/{thread}/state/checkpoint", {"checkpoint": checkpoint})
    driver.call("POST", f"/threads/{thread}/state/checkpoint", {})
    driver.call("GET", f"/threads/{thread}/state/{NIL}")


def update(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "steps", {"log": ["x"]})
    driver.call("POST", f"/threads/{thread}/state", {"values": {"log": ["u"]}, "as_node": "a"})
    driver.call("GET", f"/threads/{thread}/state")
    driver.note_thread(thread)
    driver.call("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "steps", "input": None})


def update_null_clears_next(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "gate", {"log": []})
    driver.call("POST", f"/threads/{thread}/state", {"values": None, "as_node": "c"})
    driver.note_thread(thread)
    driver.note("next", driver.quiet("GET", f"/threads/{thread}/state")["next"])


def run_from_checkpoint(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "steps", {"log": ["x"]})
    checkpoint = _history(driver, thread, 3)[2]["checkpoint"]
    wait = f"/threads/{thread}/runs/wait"
    run = {"assistant_id": "steps"}
    driver.call("POST", wait, {**run, "input": None, "checkpoint_id": checkpoint["checkpoint_id"]})
    driver.call("POST", wait, {**run, "input": {"log": ["in"]}, "checkpoint": checkpoint})
    driver.call("POST", f"/threads/{thread}/runs", {**run, "input": {}, "checkpoint_id": "zzz"})


def subgraphs(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "parent", {"log": []})
    driver.note("tasks", _history(driver, thread, 2)[1]["tasks"])
    driver.call("GET", f"/threads/{thread}/state", params={"subgraphs": "true"})


def history(driver: Driver) -> None:
    thread = driver.thread()
    driver.run(thread, "steps", {"log": ["x"]})
    rows = _history(driver, thread, 100)
    driver.note(
        "history",
        [[row["metadata"]["source"], row["metadata"]["step"], row["next"], row["values"]] for row in rows],
    )
    driver.note("default history length", len(driver.quiet("GET", f"/threads/{thread}/history")))
    driver.call("GET", f"/threads/{thread}/history", params={"limit": 2})
