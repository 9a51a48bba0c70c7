"""Writes docs/compatibility.md: ``python -m tests.protocol.contract.report``."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.protocol.contract.explained import EXPLAINED
from tests.protocol.contract.recording import recorded
from tests.protocol.requirements import BY_ID, REQUIREMENTS

DOCUMENT = Path(__file__).parents[3] / "docs" / "compatibility.md"

INTRODUCTION = """\
# Compatibility

FastGraph speaks the protocol of the LangGraph Platform (Agent Server). Two things show that it does, and both run with
the tests:

- **Recorded cases.** A platform server was driven through a set of cases, and what clients got to see was kept:
  status codes, headers, bodies and stream frames, less what is of one server alone (ids, times, versions, its own
  bookkeeping, the wording of its errors). FastGraph is driven through the same cases and has to show the same. A case
  counts as matched if nothing in it differs.
- **Requirements.** `tests/protocol/requirements.py` lists every behaviour that clients rely on, and every place where
  FastGraph knowingly does something else. Each entry has a test, most of them through the official clients.
"""

LEGEND = """\
Each line names the exact places: in the step of that number, counted from 0, the part of the answer. Everything else in
these cases is as recorded.
"""


def document() -> str:
    """The whole text."""
    parts = (
        INTRODUCTION,
        "## Recorded cases\n",
        _lines(_cases()),
        "## Differences in the recorded cases\n",
        LEGEND,
        _lines(_explained()),
        "## All known differences\n",
        _lines(_divergences()),
    )
    return "\n".join(parts)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _cases() -> Iterator[str]:
    total = Counter(_area(case) for case in recorded())
    differing = Counter(_area(case) for case in {entry.case for entry in EXPLAINED})
    yield "| Area | Matched | Cases |"
    yield "|---|---:|---:|"
    for area, count in total.items():
        yield f"| {area} | {count - differing[area]} | {count} |"
    yield f"| **all** | **{total.total() - differing.total()}** | **{total.total()}** |"


def _area(case: str) -> str:
    return case.partition(".")[0]


def _explained() -> Iterator[str]:
    yield "| Case | Where | What we do | Why not as the platform |"
    yield "|---|---|---|---|"
    for entry in EXPLAINED:
        where = ", ".join(f"`{path}`" for path in entry.paths)
        requirement = BY_ID[entry.requirement]
        yield f"| {entry.case} | {where} | {requirement.behaviour} | {requirement.divergence} |"


def _divergences() -> Iterator[str]:
    yield "| Requirement | What we do | Why not as the platform |"
    yield "|---|---|---|"
    for entry in REQUIREMENTS:
        if entry.divergence is not None:
            yield f"| {entry.id} | {entry.behaviour} | {entry.divergence} |"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
