from collections.abc import Iterator

import pytest

from fast_graph import fastGraph
from tests.protocol.contract.compare import differences
from tests.protocol.contract.explained import EXPLAINED, unexplained, unneeded
from tests.protocol.contract.graphs import contract_graphs
from tests.protocol.contract.recording import Recording, cases, record, recorded
from tests.protocol.contract.report import DOCUMENT, document
from tests.protocol.keeping import Installation
from tests.protocol.requirements import BY_ID, covers
from tests.protocol.serving import served


@pytest.fixture(scope="module")
def ours(installation: Installation) -> Iterator[Recording]:
    with installation() as settings, served(fastGraph(contract_graphs(), settings=settings)) as address:
        yield record(address)


@covers("recorded.cases")
@pytest.mark.parametrize("case", list(cases()))
def test_a_recorded_case_is_as_on_the_platform(case: str, ours: Recording) -> None:
    found = differences(recorded()[case], ours[case])
    assert unexplained(case, found) == []
    assert unneeded(case, found) == []


@covers("recorded.cases")
def test_every_recorded_case_is_driven() -> None:
    assert recorded().keys() == cases().keys()


@covers("recorded.cases")
def test_every_explained_difference_has_a_case_and_a_reason() -> None:
    assert {entry.case for entry in EXPLAINED} <= recorded().keys()
    assert [entry.requirement for entry in EXPLAINED if BY_ID[entry.requirement].divergence is None] == []


@covers("recorded.document")
def test_the_compatibility_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == document()
