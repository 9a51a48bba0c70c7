"""Links between documents, and to files of the project, lead somewhere."""

from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, README, ROOT, anchors, links

TARGETS = [(document, target) for document in DOCUMENTS for target in links(document)]


@pytest.mark.parametrize(("document", "target"), TARGETS, ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_a_link_leads_somewhere(document: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    linked = (document.parent / path).resolve() if path else document
    assert linked.exists()
    assert not anchor or anchor in anchors(linked)


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = {README}, [README]
    while waiting:
        document = waiting.pop()
        found = {(document.parent / target.partition("#")[0]).resolve() for target in links(document)}
        fresh = {linked for linked in found if linked.suffix == ".md" and linked.exists()} - reached
        reached |= fresh
        waiting.extend(fresh)
    assert reached == set(DOCUMENTS)
