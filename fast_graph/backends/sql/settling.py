"""What the end of a run makes of its thread."""

from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fast_graph.backends.sql.tables import threads
from fast_graph.model.records import Run


async def settle(
    connection: AsyncConnection, run: Run, now: datetime, *, ended: int = 1, resting: str | None = None, **changes: Any
) -> bool:
    """Take ``ended`` runs off the thread's number in flight, and show what that and ``changes`` amount to.

    A temporary thread with none left goes; True if it did, and its runs are to go as well.
    """
    is_thread = threads.c.thread_id == run.thread_id
    if run.temporary:
        gone = await connection.execute(delete(threads).where(is_thread, threads.c.inflight <= ended))
        if gone.rowcount:
            return True
    settled = settled_values(now, ended=ended, resting=resting, **changes)
    await connection.execute(update(threads).where(is_thread).values(settled))
    return False


def settled_values(now: object, *, ended: int = 1, resting: object = None, **changes: Any) -> dict[str, Any]:
    """What the thread's row shows then."""
    rests = threads.c.resting if resting is None else resting
    return {
        **changes,
        "resting": rests,
        "status": case((threads.c.inflight > ended, "busy"), else_=rests),
        "inflight": threads.c.inflight - ended,
        "updated_at": now,
    }
