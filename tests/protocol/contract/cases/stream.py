"""What runs stream, by mode; and joining, resuming and leaving a stream."""

from typing import Any

from tests.protocol.contract.driver import Driver
from tests.protocol.contract.placeholders import NIL

HELLO = {"messages": [{"role": "user", "content": "hi", "id": "u1"}]}
X = {"content": "x"}


def _stream(driver: Driver, graph: str, given: Any, mode: Any, **options: Any) -> str:
    thread = driver.thread()
    body = {"assistant_id": graph, "input": given, "stream_mode": mode, **options}
    driver.call("POST", f"/threads/{thread}/runs/stream", body)
    return thread


def values(driver: Driver) -> None:
    _stream(driver, "steps", {"log": ["x"]}, "values")


def messages_tuple(driver: Driver) -> None:
    _stream(driver, "chat", HELLO, "messages-tuple")


def debug(driver: Driver) -> None:
    _stream(driver, "echo", X, "debug")


def tasks(driver: Driver) -> None:
    _stream(driver, "echo", X, "tasks")


def checkpoints(driver: Driver) -> None:
    _stream(driver, "echo", X, "checkpoints")


def events(driver: Driver) -> None:
    _stream(driver, "echo", X, "events")


def many_modes(driver: Driver) -> None:
    _stream(driver, "custom", X, ["values", "updates", "custom", "tasks"])


def messages_and_values(driver: Driver) -> None:
    _stream(driver, "chat", HELLO, ["values", "messages-tuple"])


def subgraphs(driver: Driver) -> None:
    _stream(driver, "parent", {"log": []}, ["values", "updates"], stream_subgraphs=True)


def subgraphs_tasks(driver: Driver) -> None:
    _stream(driver, "parent", {"log": []}, ["tasks"], stream_subgraphs=True)


def interrupt(driver: Driver) -> None:
    thread = _stream(driver, "hitl", {"question": "q"}, ["values", "updates"])
    driver.note_thread(thread)
    driver.note_runs(thread)


def static_interrupt(driver: Driver) -> None:
    thread = _stream(driver, "steps", {"log": []}, ["values", "updates"], interrupt_before=["b"])
    driver.note_thread(thread)
    driver.note_runs(thread)


def errors(driver: Driver) -> None:
    body = {"assistant_id": "echo", "input": {}}
    driver.call("POST", f"/threads/{NIL}/runs/stream", body)
    bogus = {**body, "stream_mode": ["values", "bogus"]}
    driver.call("POST", f"/threads/{driver.thread()}/runs/stream", bogus)


def resumable_mode_filter(driver: Driver) -> None:
    thread = driver.thread()
    body = {"assistant_id": "slow", "input": {"log": []}, "stream_mode": ["values", "updates"]}
    frames = driver.call("POST", f"/threads/{thread}/runs/stream", {**body, "stream_resumable": True})
    path = f"/threads/{thread}/runs/{frames[0]['data']['run_id']}/stream"
    driver.call("GET", path, headers={"last-event-id": "-1"}, params={"stream_mode": "updates"})


def join_before_start(driver: Driver) -> None:
    _join_before_start(driver)


def join_mode_filter(driver: Driver) -> None:
    _join_before_start(driver, params={"stream_mode": "updates"})


def _join_before_start(driver: Driver, **options: Any) -> None:
    thread = driver.thread()
    run = driver.background(thread, "steps", after_seconds=2, stream_mode=["values", "updates"])
    driver.call("GET", f"/threads/{thread}/runs/{run}/stream", **options)


def join_unknown(driver: Driver) -> None:
    driver.call("GET", f"/threads/{driver.thread()}/runs/{NIL}/stream")


def on_disconnect_default(driver: Driver) -> None:
    _disconnect(driver)


def on_disconnect_cancel(driver: Driver) -> None:
    _disconnect(driver, on_disconnect="cancel")


def on_disconnect_continue(driver: Driver) -> None:
    _disconnect(driver, on_disconnect="continue")


def _disconnect(driver: Driver, **options: Any) -> None:
    thread = driver.thread()
    driver.leave(thread, {"assistant_id": "slow", "input": {"log": [], "delay": 0.6}, **options})
    driver.until_over(thread, driver.quiet("GET", f"/threads/{thread}/runs")[0]["run_id"])
    driver.note_runs(thread)
    driver.note("thread", driver.quiet("GET", f"/threads/{thread}")["status"])
