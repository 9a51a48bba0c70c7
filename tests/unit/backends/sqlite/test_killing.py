"""What a process was told is on file is there, whatever becomes of the process."""

import subprocess
import sys
from pathlib import Path

from fast_graph.backends.sqlite.checkpoints import SqliteCheckpointer
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.backends.sqlite.streams import SqliteStreams, StreamBounds
from fast_graph.model.records import Event, Lease, Record
from fast_graph.testing.clock import OwnedClock
from fast_graph.testing.rows import new_id
from tests.unit.backends.sqlite.appending import lease_of
from tests.unit.backends.sqlite.files import with_runs

ROOT = Path(__file__).parents[4]
ENOUGH = 200


def kill_while_it_appends(path: Path, run_id: str) -> int:
    """The last number that the process was told is on file."""
    command = [sys.executable, "-m", "tests.unit.backends.sqlite.appending", str(path), run_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if int(line) >= ENOUGH:
                    break
        finally:
            process.kill()
        heard = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    return int(heard[-1]) if heard else ENOUGH


async def test_what_was_acknowledged_before_a_kill_is_there_afterwards(tmp_path: Path) -> None:
    run_id = new_id()
    path = with_runs(tmp_path / "fast_graph.db", (run_id, 1, "running"))
    acknowledged = kill_while_it_appends(path, run_id)
    async with SqliteFile(path) as file:
        streams, saver = SqliteStreams(file, OwnedClock(), StreamBounds()), SqliteCheckpointer(file)
        await saver.setup()
        await streams.setup()
        records = await all_of(streams, run_id, go_on=lease_of(run_id, 2))
        numbers = [int(record.data) for record in records if record.name == "number"]
        assert numbers == [record.seq for record in records[:-1]] == list(range(1, len(numbers) + 1))
        assert (records[-1].name, records[-1].seq) == ("again", len(numbers) + 1)
        assert len(numbers) >= acknowledged >= ENOUGH
        latest = await saver.aget_tuple({"configurable": {"thread_id": run_id}})
        assert latest is not None
        assert latest.checkpoint["channel_values"]["number"] >= len(numbers)


async def all_of(streams: SqliteStreams, run_id: str, *, go_on: Lease) -> list[Record]:
    """What the log says, and goes on to say once the run is taken up again."""
    records: list[Record] = []
    async with streams.follow(run_id, after=0) as reader:
        await streams.open(go_on)
        await streams.append(go_on, [Event("again", b"null")])
        await streams.close(run_id, b"null", keep=False)
        while (batch := await reader.batch(idle=30)) is not None:
            records += batch
    return records
