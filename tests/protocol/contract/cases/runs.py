"""Runs: creating, looking up, joining."""

import time

from tests.protocol.contract.driver import Driver, unique
from tests.protocol.contract.placeholders import NIL


def create(driver: Driver) -> None:
    thread = driver.thread()
    config = {"tags": ["x"], "configurable": {"u": 1}}
    body = {"assistant_id": "echo", "input": {"content": "hi"}, "metadata": {"m": 1}, "config": config}
    run = driver.call("POST", f"/threads/{thread}/runs", body)["run_id"]
    driver.until_over(thread, run)
    driver.call("GET", f"/threads/{thread}/runs/{run}")


def create_options(driver: Driver) -> None:
    options = {
        "stream_mode": ["values", "updates"],
        "stream_subgraphs": True,
        "stream_resumable": True,
        "interrupt_before": ["b"],
        "interrupt_after": "*",
        "durability": "exit",
        "multitask_strategy": "interrupt",
        "after_seconds": 30,
    }
    body = {"assistant_id": "steps", "input": {"log": []}, **options}
    driver.call("POST", f"/threads/{driver.thread()}/runs", body)


def create_bad_enum(driver: Driver) -> None:
    thread = driver.thread()
    for field in ("stream_mode", "multitask_strategy", "durability", "if_not_exists", "config", "after_seconds"):
        driver.call("POST", f"/threads/{thread}/runs", {"assistant_id": "echo", field: "bogus"})


def if_not_exists(driver: Driver) -> None:
    thread = unique()
    body = {"assistant_id": "echo", "input": {"content": "z"}, "if_not_exists": "create"}
    driver.call("POST", f"/threads/{thread}/runs/wait", body)
    driver.call("GET", f"/threads/{thread}")
    body = {"assistant_id": "echo", "input": {}, "if_not_exists": "reject"}
    driver.call("POST", f"/threads/{unique()}/runs/wait", body)


def get_errors(driver: Driver) -> None:
    runs = f"/threads/{driver.thread()}/runs"
    driver.call("GET", f"{runs}/{NIL}")
    driver.call("GET", f"{runs}/bad")
    driver.call("DELETE", f"{runs}/{NIL}")


def list(driver: Driver) -> None:
    thread = driver.thread()
    for content in "012":
        driver.run(thread, "echo", {"content": content})
    runs = f"/threads/{thread}/runs"
    driver.call("GET", runs, params={"limit": 1})
    driver.call("GET", runs, params={"limit": 1, "offset": 1, "select": "status"})
    driver.call("GET", runs, params={"status": "pending"})
    driver.call("GET", runs, params=[("select", "status"), ("select", "multitask_strategy")])
    refused = driver.quiet("GET", runs, params={"select": "zzz"})
    driver.note("unknown select column: status", 422 if "detail" in refused else 200)
    driver.call("GET", f"/threads/{NIL}/runs")


def after_seconds(driver: Driver) -> None:
    thread, started_at = driver.thread(), time.monotonic()
    run = driver.background(thread, "echo", {"content": "x"}, after_seconds=2)
    driver.note_thread(thread, "while waiting")
    driver.until_over(thread, run)
    driver.note("took at least 2 s", [driver.status(thread, run), time.monotonic() - started_at >= 2])


def join(driver: Driver) -> None:
    thread = driver.thread()
    run = driver.background(thread)
    driver.call("GET", f"/threads/{thread}/runs/{run}/join")
    driver.call("GET", f"/threads/{thread}/runs/{run}/join")
    driver.call("GET", f"/threads/{thread}/runs/{NIL}/join")


def webhook_invalid(driver: Driver) -> None:
    body = {"assistant_id": "echo", "input": {}, "webhook": "not-a-url"}
    driver.call("POST", f"/threads/{driver.thread()}/runs", body)


def input_null_on_fresh_thread(driver: Driver) -> None:
    thread = driver.thread()
    driver.call("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "echo"})
    driver.note_thread(thread)
