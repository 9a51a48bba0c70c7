"""The port of checkpoints: LangGraph's own saver, and what FastGraph asks of one besides."""

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointMetadata
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

SHOWN = frozenset({"assistant_id", "checkpoint_id", "checkpoint_ns", "graph_id", "run_id", "thread_id", "user_id"})
"""What of a configurable may be read where the rest is encrypted."""

OURS = ("__", "langgraph_")
"""How keys begin that no client chose."""


class Checkpointer(BaseCheckpointSaver[str]):
    """A saver whose ``acopy_thread``, ``aprune`` and ``adelete_for_runs`` work, and that knows late writers.

    A config whose configurable has ``model.records.FENCE_KEY`` writes for a run under that lease token: once the run
    was claimed again, ended or deleted, the write raises LeaseLostError and leaves nothing. Such writes may be held
    back for a moment to be stored together, unless the configurable asks for ``sync`` durability; whoever reads
    through the same saver sees them nevertheless.
    """

    async def aflush(self, run_id: str) -> None:
        """Store what is held back of this run. Raises LeaseLostError; nothing is held back by default."""

    @property
    def seals(self) -> bool:
        """Whether values are encrypted on their way to bytes."""
        return isinstance(self.serde, EncryptedSerializer)

    def shown(self, config: RunnableConfig, metadata: CheckpointMetadata) -> tuple[RunnableConfig, CheckpointMetadata]:
        """What a checkpoint's metadata, which is never encrypted, is to be made of.

        LangGraph puts there what a client configured, and that is where keys and names of customers are.
        """
        if not self.seals:
            return config, metadata
        where = config.get("configurable", {})
        hidden = {key for key in where if key not in SHOWN and not key.startswith(OURS)}
        facts = {key: value for key, value in config.get("metadata", {}).items() if key not in hidden}
        place = {key: value for key, value in where.items() if key not in hidden}
        return {**config, "configurable": place, "metadata": facts}, metadata
