"""Runs that go on after an interrupt, or are told where to."""

from typing import Any

from tests.protocol.contract.driver import Driver


def _asked(driver: Driver) -> str:
    """A thread that waits for an answer."""
    thread = driver.thread()
    driver.run(thread, "hitl", {"question": "q"})
    return thread


def _command(**command: Any) -> dict[str, Any]:
    return {"assistant_id": "hitl", "command": command}


def resume(driver: Driver) -> None:
    thread = _asked(driver)
    body = {**_command(resume="yes"), "stream_mode": ["values", "updates"]}
    driver.call("POST", f"/threads/{thread}/runs/stream", body)
    driver.note_thread(thread)


def resume_by_id(driver: Driver) -> None:
    thread = _asked(driver)
    interrupt = driver.quiet("GET", f"/threads/{thread}/state")["interrupts"][0]["id"]
    driver.call("POST", f"/threads/{thread}/runs/wait", _command(resume={interrupt: "by-id"}))


def update_goto(driver: Driver) -> None:
    thread = _asked(driver)
    driver.call("POST", f"/threads/{thread}/runs/wait", _command(update={"answer": "upd"}, goto="after"))
    driver.note_thread(thread)


def goto_send(driver: Driver) -> None:
    thread = _asked(driver)
    driver.quiet("POST", f"/threads/{thread}/runs/wait", _command(resume="r"))
    goto = {"node": "after", "input": {"answer": "z"}}
    driver.call("POST", f"/threads/{thread}/runs/wait", _command(goto=goto))


def gate(driver: Driver) -> None:
    thread = driver.thread()
    driver.call("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "gate", "input": {"log": []}})
    driver.call("GET", f"/threads/{thread}")
    driver.call("GET", f"/threads/{thread}/state")
    driver.call("POST", f"/threads/{thread}/runs/wait", {"assistant_id": "gate", "input": None})
    driver.note_thread(thread)
