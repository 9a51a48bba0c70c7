"""Runs without a thread."""

from typing import Any

from tests.protocol.contract.driver import Driver

ECHO = {"assistant_id": "echo", "input": {"content": "hi"}}


def wait_failing(driver: Driver) -> None:
    driver.call("POST", "/runs/wait", {"assistant_id": "failing", "input": {"content": "hi"}})


def stream(driver: Driver) -> None:
    driver.call("POST", "/runs/stream", {**ECHO, "stream_mode": ["values", "updates"]})


def background_keep(driver: Driver) -> None:
    _background(driver, on_completion="keep")


def background_delete(driver: Driver) -> None:
    _background(driver)


def _background(driver: Driver, **options: Any) -> None:
    run = driver.call("POST", "/runs", {**ECHO, **options})
    driver.until_over(run["thread_id"], run["run_id"])
    driver.call("GET", f"/threads/{run['thread_id']}")


def batch(driver: Driver) -> None:
    chat = {"assistant_id": "chat", "input": {"messages": []}}
    driver.call("POST", "/runs/batch", [{"assistant_id": "echo", "input": {"content": "1"}}, chat])
    refused: list[Any] = [[], {}, [{"input": 1}]]
    for body in refused:
        driver.call("POST", "/runs/batch", body)
