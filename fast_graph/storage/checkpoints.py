"""The port of checkpoints: LangGraph's own saver, and what FastGraph asks of one besides."""

from langgraph.checkpoint.base import BaseCheckpointSaver


class Checkpointer(BaseCheckpointSaver[str]):
    """A saver whose ``acopy_thread``, ``aprune`` and ``adelete_for_runs`` work, and that knows late writers.

    A config whose configurable has ``model.records.FENCE_KEY`` writes for a run under that lease token: once the run
    was claimed again, ended or deleted, the write raises LeaseLostError and leaves nothing. Such writes may be held
    back for a moment to be stored together, unless the configurable asks for ``sync`` durability; whoever reads
    through the same saver sees them nevertheless.
    """

    async def aflush(self, run_id: str) -> None:
        """Store what is held back of this run. Raises LeaseLostError; nothing is held back by default."""
