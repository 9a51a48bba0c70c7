"""The documents as the tests see them: sections, code blocks, tables, links. Runs nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])

FENCE = re.compile(r"^```(\w*)$")
HEADING = re.compile(r"^(#+) (.+)$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str
    line: int
    """Of its first line within the document."""


@dataclass(frozen=True)
class Section:
    """What stands below one heading, up to the next."""

    document: Path
    title: str
    blocks: list[Block] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}: {self.title}"


def sections(document: Path) -> list[Section]:
    """The sections of a document, in order."""
    found = [Section(document, "")]
    lines = iter(enumerate(document.read_text().splitlines(), start=1))
    for number, line in lines:
        if heading := HEADING.match(line):
            found.append(Section(document, heading[2]))
        elif fence := FENCE.match(line):
            text = "".join(inside + "\n" for inside in _until_fence(lines))
            found[-1].blocks.append(Block(language=fence[1], text=text, line=number + 1))
    return found


def _until_fence(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for _, line in lines:
        if line == "```":
            return
        yield line


def prose(document: Path) -> list[str]:
    """The document's lines outside of code blocks."""
    inside, found = False, []
    for line in document.read_text().splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            found.append(line)
    return found


def rows(document: Path) -> list[list[str]]:
    """The cells of every table row in the document, without backticks."""
    lines = [line for line in prose(document) if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in CELL.split(line)[1:-1]] for line in lines]


def links(document: Path) -> list[str]:
    """The targets of the document's links within the project."""
    found = [target for line in prose(document) for target in LINK.findall(line)]
    return [target for target in found if not target.startswith(("http://", "https://"))]


def anchors(document: Path) -> set[str]:
    """What a link to a heading of the document may say after ``#``."""
    titles = [heading[2] for line in prose(document) if (heading := HEADING.match(line))]
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
