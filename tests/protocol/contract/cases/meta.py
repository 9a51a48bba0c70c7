"""The server about itself."""

from tests.protocol.contract.driver import Driver


def ok(driver: Driver) -> None:
    driver.call("GET", "/ok")


def root(driver: Driver) -> None:
    driver.call("GET", "/")


def info(driver: Driver) -> None:
    driver.call("GET", "/info")


def unknown_path(driver: Driver) -> None:
    driver.call("GET", "/nothing-here")


def cors(driver: Driver) -> None:
    driver.call("GET", "/ok", headers={"origin": "http://studio.example"})
