"""Somebody who does what a section says, block by block, and compares what they see with what it shows."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.docs.checkout import Checkout, plain_environment
from tests.docs.documents import Block, Section

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FILE = re.compile(r"# (\w+\.py)\n")
SERVE = re.compile(r"\.venv/bin/(?:uvicorn|fast-graph serve) (\w+):\w+ .*--port (\d+)")
SCRIPT = re.compile(r"\./(scripts/[\w./]+)")

END = "---- end of block ----"
INTERPRETER = f"""
import json, sys
names = {{"__name__": "__main__"}}
for line in sys.stdin:
    document, number, text = json.loads(line)
    exec(compile("\\n" * (number - 1) + text, document, "exec"), names)
    print("\\n{END}", flush=True)
"""


class Interpreter:
    """One Python that executes blocks one after another, as if they were one file."""

    def __init__(self, checkout: Checkout) -> None:
        self._python = subprocess.Popen(
            [sys.executable, "-W", "error", "-W", "default::ResourceWarning", "-c", INTERPRETER],
            cwd=checkout.path,
            env=plain_environment() | {"PYTHONPATH": str(checkout.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._python.communicate(timeout=60)

    def run(self, document: Path, line: int, text: str) -> str:
        """What the block prints."""
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        self._python.stdin.write(json.dumps([document.name, line, text]) + "\n")
        self._python.stdin.flush()
        printed: list[str] = []
        for said in self._python.stdout:
            if said.rstrip() == END:
                return "".join(printed)
            printed.append(said)
        assert self._python.stderr is not None
        raise AssertionError(self._python.stderr.read())


class Reader:
    """Follows one section. Use as a context manager: the servers it starts end with it."""

    def __init__(self, section: Section, checkout: Checkout) -> None:
        self._section = section
        self._checkout = checkout
        self._stack = ExitStack()
        self._interpreter: Interpreter | None = None
        self._seen: str | None = None
        """What the last block printed, until a text block tells what it should be."""
        self._do: dict[str, Callable[[Block], str | None]] = {
            "python": self._python,
            "bash": self._bash,
            "text": self._text,
            "mermaid": lambda block: None,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, blocks: Iterable[Block]) -> None:
        """Do what the blocks say. Raises AssertionError where they are not true."""
        for block in blocks:
            assert block.language in self._do, f"{self._place(block)}: no test knows the language {block.language!r}"
            if block.language != "text":
                self._nothing_unsaid(block)
            self._seen = self._do[block.language](block)
        assert not self._seen, f"{self._section} ends without showing what is printed:\n{self._seen}"

    def _nothing_unsaid(self, block: Block) -> None:
        assert not self._seen, f"{self._place(block)}: the block before prints what no text block shows:\n{self._seen}"

    def _place(self, block: Block) -> str:
        return f"{self._section.document.name}:{block.line}"

    def _python(self, block: Block) -> str | None:
        """Code to execute; or, if it begins with a file's name, a file to write."""
        if file := FILE.match(block.text):
            (self._checkout.path / file[1]).write_text(block.text)
            return None
        if self._interpreter is None:
            self._interpreter = self._stack.enter_context(Interpreter(self._checkout))
        return self._interpreter.run(self._section.document, block.line, self._checkout.rewritten(block.text))

    def _bash(self, block: Block) -> str | None:
        """Scripts have to be there and servers to start; curl is run; anything else has to be well-formed."""
        self._checkout.run(f"bash -n <<'END'\n{block.text}\nEND")
        if block.text.startswith("curl "):
            return self._checkout.run(self._checkout.rewritten(block.text))
        if server := SERVE.match(block.text):
            port = self._checkout.port(server[2])
            self._stack.enter_context(self._checkout.serving(self._checkout.rewritten(block.text), port))
        for script in SCRIPT.findall(block.text):
            self._checkout.run(f"test -x {script} && bash -n {script}")
        return None

    def _text(self, block: Block) -> None:
        assert self._seen is not None, f"{self._place(block)}: nothing before it prints this"
        assert masked(self._seen) == masked(block.text), f"{self._place(block)} is not what is printed"


def masked(text: str) -> str:
    """The text without what differs from run to run."""
    lines = [line.rstrip() for line in text.splitlines()]
    return UUID.sub("<uuid>", "\n".join(lines).strip())
