"""A process that outlives the tests, even if they are killed: then it ends their servers and removes their folder.

It reads which servers run from a pipe, as lines of process id and ending signal (0: it has ended). The pipe closes when
the tests close it, or die.
"""

import shutil
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

from tests.services.processes import family, gone, kill_family, send, wait_until


def main(folder: str) -> None:
    reap(running_servers(sys.stdin))
    shutil.rmtree(folder, ignore_errors=True)


def running_servers(lines: Iterable[str]) -> dict[int, signal.Signals]:
    """The servers that had not ended when the lines did, and the signal that ends each in good order."""
    running = {}
    for line in lines:
        pid, goodbye = map(int, line.split())
        if goodbye:
            running[pid] = signal.Signals(goodbye)
        else:
            del running[pid]
    return running


def reap(servers: dict[int, signal.Signals]) -> None:
    """In good order first: what PostgreSQL asked of the kernel outlives a killed one."""
    members = [member for pid in servers for member in family(pid)]
    send(members, signal.SIGCONT)
    for pid, goodbye in servers.items():
        send(family(pid)[:1], goodbye)
    with suppress(TimeoutError):
        wait_until(lambda: all(map(gone, members)), "servers end when asked to")
    for pid in servers:
        kill_family(pid)


if __name__ == "__main__":
    main(sys.argv[1])
