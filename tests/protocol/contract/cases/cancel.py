"""Runs that are stopped on request."""

from tests.protocol.contract.driver import Driver


def interrupt(driver: Driver) -> None:
    _running(driver, "interrupt", wait="false")


def rollback(driver: Driver) -> None:
    _running(driver, "rollback", wait="false")


def rollback_wait(driver: Driver) -> None:
    _running(driver, "rollback", wait="true")


def _running(driver: Driver, action: str, *, wait: str) -> None:
    thread = driver.thread()
    run = driver.background(thread, given={"log": [], "delay": 1.5})
    driver.until_running(thread, run)
    path = f"/threads/{thread}/runs/{run}"
    driver.call("POST", f"{path}/cancel", params={"action": action, "wait": wait})
    driver.until_over(thread, run)
    driver.note_runs(thread)
    row = driver.quiet("GET", f"/threads/{thread}")
    driver.note("thread", [row["status"], (row.get("error") or {}).get("error")])
    driver.call("GET", f"{path}/join")
    driver.call("POST", f"{path}/cancel")


def pending(driver: Driver) -> None:
    thread = driver.thread()
    run = driver.background(thread, after_seconds=30)
    driver.call("POST", f"/threads/{thread}/runs/{run}/cancel")
    driver.note_runs(thread)
    driver.note_thread(thread)


def many(driver: Driver) -> None:
    thread = driver.thread()
    runs = [driver.background(thread, after_seconds=30) for _ in range(2)]
    driver.call("POST", "/runs/cancel", {"thread_id": thread, "run_ids": runs})
    driver.note_runs(thread)
    driver.call("POST", "/runs/cancel", {"thread_id": thread, "run_ids": runs[:1]})
