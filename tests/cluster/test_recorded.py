"""The recorded cases on Redis and PostgreSQL: every request of a case goes to another instance than the one before."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice

import httpx
import pytest

from tests.cluster.instances import Cluster
from tests.cluster.signing import SERVED_BY
from tests.protocol.contract.compare import client_view, differences
from tests.protocol.contract.driver import PATIENCE, Case, Driver, Step
from tests.protocol.contract.explained import unexplained, unneeded
from tests.protocol.contract.recording import AT_A_TIME, cases, recorded
from tests.services.nginx import nginx_server
from tests.services.processes import Bench

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("start_nginx")]  # which sees to it that there is one


@dataclass(frozen=True)
class Driven:
    """What a case has shown, and the processes that answered, in order."""

    steps: Sequence[Step]
    served_by: Sequence[int]


class Rotating(httpx.BaseTransport):
    """Sends each request to the next address, whatever its URL says, and notes who answered."""

    def __init__(self, urls: Sequence[str], *, begin: int) -> None:
        self._transport = httpx.HTTPTransport()
        self._urls = islice(cycle(map(httpx.URL, urls)), begin, None)
        self.served_by: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = next(self._urls)
        request.url = request.url.copy_with(host=url.host, port=url.port)
        response = self._transport.handle_request(request)
        self.served_by.append(int(response.headers[SERVED_BY]))
        return response

    def close(self) -> None:
        self._transport.close()


def drive(urls: Sequence[str], begin: int, case: Case) -> Driven:
    rotating = Rotating(urls, begin=begin)
    with httpx.Client(base_url=urls[0], timeout=PATIENCE, transport=rotating) as client:
        driver = Driver(client)
        case(driver)
    return Driven(client_view(driver.steps), rotating.served_by)


def record(urls: Sequence[str]) -> Mapping[str, Driven]:
    """All cases, each beginning at another address."""
    found = cases()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        driven = pool.map(lambda begin, case: drive(urls, begin, case), range(len(found)), found.values())
        return dict(zip(found, driven, strict=True))


@pytest.fixture(scope="module")
def ours(bench: Bench, cluster: Cluster) -> Iterator[Mapping[str, Driven]]:
    """Driven through nginx and, past it, through the instances."""
    with nginx_server(bench, [instance.port for instance in cluster.instances]) as nginx:
        yield record([nginx.url, *cluster.urls])


@pytest.mark.parametrize("case", list(cases()))
def test_a_recorded_case_is_as_on_the_platform(case: str, ours: Mapping[str, Driven]) -> None:
    found = differences(recorded()[case], ours[case].steps)
    assert unexplained(case, found) == []
    assert unneeded(case, found) == []


def test_the_requests_of_a_case_go_to_all_instances(ours: Mapping[str, Driven], cluster: Cluster) -> None:
    everybody = {instance.pid for instance in cluster.instances}
    long = {case: driven.served_by for case, driven in ours.items() if len(driven.served_by) >= 4}
    assert len(long) > len(ours) / 3
    assert [case for case, served_by in long.items() if set(served_by) != everybody] == []


def test_every_instance_has_served_its_share(ours: Mapping[str, Driven], cluster: Cluster) -> None:
    served = Counter(pid for driven in ours.values() for pid in driven.served_by)
    assert served.keys() == {instance.pid for instance in cluster.instances}
    assert min(served.values()) > served.total() / 3 / 2
