"""A process that appends to the stream of one run for ever, puts checkpoints, and says what was acknowledged."""

import asyncio
import sys
from pathlib import Path

from langgraph.checkpoint.base import empty_checkpoint

from fast_graph.backends.sqlite.checkpoints import SqliteCheckpointer
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.backends.sqlite.streams import SqliteStreams, StreamBounds
from fast_graph.model.records import FENCE_KEY, Event, Lease
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_run


def lease_of(run_id: str, token: int) -> Lease:
    """A lease of the run."""
    clock = OwnedClock()
    return Lease(run=new_run(clock, "thread", run_id=run_id), worker="worker", token=token, expires_at=clock())


async def main(path: Path, run_id: str) -> None:
    """Append until killed; each line is the number of an event that is on file, with a checkpoint put before it."""
    lease = lease_of(run_id, 1)
    async with SqliteFile(path) as file:
        streams, saver = SqliteStreams(file, OwnedClock(), StreamBounds()), SqliteCheckpointer(file)
        await saver.setup()
        await streams.setup()
        await streams.open(lease)
        where = {"thread_id": run_id, "checkpoint_ns": "", "run_id": run_id, FENCE_KEY: 1}
        number = 0
        while True:
            number += 1
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {"number": number}
            await saver.aput({"configurable": where}, checkpoint, {"source": "loop", "step": number}, {})
            await streams.append(lease, [Event("number", b"%d" % number)])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
