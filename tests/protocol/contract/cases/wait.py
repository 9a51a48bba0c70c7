"""Runs whose final values are waited for."""

from tests.protocol.contract.driver import Driver, unique
from tests.protocol.contract.placeholders import ASSISTANTS


def assistant_uuid(driver: Driver) -> None:
    body = {"assistant_id": ASSISTANTS["echo"], "input": {"content": "hi"}}
    driver.call("POST", f"/threads/{driver.thread()}/runs/wait", body)


def chat(driver: Driver) -> None:
    given = {"messages": [{"role": "user", "content": "hi", "id": "u1"}]}
    driver.call("POST", f"/threads/{driver.thread()}/runs/wait", {"assistant_id": "chat", "input": given})


def failing(driver: Driver) -> None:
    thread = driver.thread()
    driver.call("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "failing", "input": {"content": "x"}})
    driver.note_runs(thread)
    run = driver.quiet("GET", f"/threads/{thread}/runs")[0]["run_id"]
    driver.call("GET", f"/threads/{thread}/runs/{run}/join")
    driver.note_thread(thread)


def store_graph(driver: Driver) -> None:
    key = unique()
    driver.call("POST", "/runs/wait", {"assistant_id": "store", "input": {"key": key, "text": "t1"}})
    driver.call("GET", "/store/items", params={"namespace": "contract.graph", "key": key})
