"""The recorded cases: driving them, and what a platform server showed when it was driven through them.

``python -m tests.protocol.contract.recording URL FILE`` records a server that serves the contract graphs.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import getmembers, isfunction
from pathlib import Path

from tests.protocol.contract.cases import (
    assistants,
    cancel,
    command,
    meta,
    multitask,
    runs,
    state,
    stateless,
    store,
    stream,
    threads,
    wait,
)
from tests.protocol.contract.compare import client_view
from tests.protocol.contract.driver import Case, Step, drive

AREAS = (meta, assistants, threads, state, runs, wait, stateless, stream, command, multitask, cancel, store)
RECORDING = Path(__file__).with_name("recording.json")
AT_A_TIME = 8

Recording = Mapping[str, Sequence[Step]]


def cases() -> dict[str, Case]:
    """Every case by area and name, such as ``threads.copy``."""
    return {
        f"{area.__name__.rpartition('.')[2]}.{name}": case
        for area in AREAS
        for name, case in getmembers(area, isfunction)
        if case.__module__ == area.__name__ and not name.startswith("_")
    }


def recorded() -> Recording:
    """What the platform showed, in the view of clients."""
    found: Recording = json.loads(RECORDING.read_text())
    return found


def record(base: str) -> Recording:
    """What the server at that address shows, in the view of clients."""
    found = cases()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        driven = pool.map(lambda case: client_view(drive(base, case)), found.values())
        return dict(zip(found, driven, strict=True))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(record(sys.argv[1]), indent=1) + "\n")
