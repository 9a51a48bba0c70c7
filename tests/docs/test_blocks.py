"""Every code block of every document is true: it runs, and what follows it is what it prints."""

from pathlib import Path

import pytest

from fast_graph.model.lifecycle import diagram
from tests.docs.checkout import Checkout
from tests.docs.documents import DOCUMENTS, ROOT, Section, sections
from tests.docs.reader import Reader

WITH_CODE = [section for document in DOCUMENTS for section in sections(document) if section.blocks]


@pytest.mark.parametrize("section", WITH_CODE, ids=str)
def test_a_section_does_what_it_says(section: Section, checkout: Checkout, demo_output: Path) -> None:
    with Reader(section, checkout) as reader:
        reader.read(section.blocks)


def test_the_lifecycle_shown_is_the_lifecycle_there_is() -> None:
    blocks = [block for section in sections(ROOT / "docs" / "engine.md") for block in section.blocks]
    assert [block.text.rstrip() for block in blocks if block.language == "mermaid"] == [diagram()]
