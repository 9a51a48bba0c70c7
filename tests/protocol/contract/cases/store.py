"""Items of the store."""

from typing import Any

from tests.protocol.contract.driver import Driver

ROOT = "contract_ns"


def put_status(driver: Driver) -> None:
    item = {"namespace": ["contract", "put"], "key": "k"}
    driver.call("PUT", "/store/items", {**item, "value": {"x": 1}})
    driver.call("PUT", "/store/items", {**item, "value": {}, "index": False, "ttl": 5})
    driver.call("DELETE", "/store/items", item)
    driver.call("DELETE", "/store/items", item)


def put_invalid(driver: Driver) -> None:
    for namespace in ([], ["a.b"], [""], ["langgraph"], "a"):
        driver.call("PUT", "/store/items", {"namespace": namespace, "key": "k", "value": {}})
    driver.call("PUT", "/store/items", {"key": "k", "value": {}})
    driver.call("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": "s"})
    driver.call("PUT", "/store/items", {"namespace": ["a"], "value": {}})
    driver.call("PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": None})


def get_invalid(driver: Driver) -> None:
    driver.call("GET", "/store/items", params={"namespace": "a.b"})
    driver.call("DELETE", "/store/items", {"namespace": ["a"]})


def namespaces(driver: Driver) -> None:
    for index in range(4):
        value = {"i": index, "kind": "e" if index % 2 == 0 else "o"}
        item = {"namespace": [ROOT, "ab"[index % 2]], "key": f"k{index}", "value": value}
        driver.quiet("PUT", "/store/items", item)
    wanted: list[dict[str, Any]] = [{}, {"suffix": ["b"]}, {"max_depth": 1}, {"limit": 1, "offset": 1}]
    for more in wanted:
        driver.call("POST", "/store/namespaces", {"prefix": [ROOT], **more})
    for body in ({"prefix": [ROOT, "*"]}, {"limit": "z"}, {"prefix": ["contract_none"]}):
        driver.call("POST", "/store/namespaces", body)
