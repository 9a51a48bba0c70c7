"""A second run while the first one runs."""

from tests.protocol.contract.driver import Driver


def reject(driver: Driver) -> None:
    _second(driver, "reject")


def enqueue(driver: Driver) -> None:
    _second(driver, "enqueue")


def interrupt(driver: Driver) -> None:
    _second(driver, "interrupt")


def _second(driver: Driver, strategy: str) -> None:
    thread = driver.thread()
    first = driver.background(thread, given={"log": [], "delay": 1.5})
    driver.until_running(thread, first)
    driver.note_thread(thread, "thread while the first run runs")
    given = {"log": ["second"], "delay": 0.05}
    body = {"assistant_id": "slow", "input": given, "multitask_strategy": strategy}
    driver.call("POST", f"/threads/{thread}/runs", body)
    for run in driver.quiet("GET", f"/threads/{thread}/runs"):
        driver.until_over(thread, run["run_id"])
    driver.note_runs(thread)
    driver.note_thread(thread)
    driver.call("GET", f"/threads/{thread}/runs/{first}/join")
