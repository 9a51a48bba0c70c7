"""Any of the other backends with its contents encrypted: what is written is sealed, and opened when it is read."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from langgraph.checkpoint.base import ChannelVersions, Checkpoint
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.postgres_redis import PostgresRedisBackend
from fast_graph.backends.sealed.cipher import Keyring
from fast_graph.backends.sealed.items import SealedStore
from fast_graph.backends.sealed.records import Seals
from fast_graph.backends.sealed.rows import SealedQueue, SealedRuns, SealedThreads
from fast_graph.backends.sealed.streams import SealedStreams
from fast_graph.backends.sqlite.backend import SqliteBackend
from fast_graph.model.errors import ConfigurationError, SealedError
from fast_graph.storage.backend import Stores
from fast_graph.storage.checkpoints import Checkpointer
from fast_graph.storage.queue import RunQueue

SAMPLE = {"thread_id": "__fast_graph_encryption__", "checkpoint_ns": ""}
"""Where a checkpoint is kept by which a starting process sees whether it has the right keys."""

SAMPLE_ID = "1f000000-0000-6000-8000-000000000000"


class SealedStores(AbstractAsyncContextManager["SealedStores"]):
    """The parts of another backend. Assistants stay as they are."""

    def __init__(self, stores: Stores, keys: Keyring) -> None:
        self._stores = stores
        seals = Seals(keys)
        self.assistants = stores.assistants
        self.threads = SealedThreads(stores.threads, seals)
        self.runs = SealedRuns(stores.runs, seals)
        self.queue = SealedQueue(stores.queue, seals)
        self.streams = SealedStreams(stores.streams, keys)
        self.signals = stores.signals
        self.checkpointer = stores.checkpointer
        self.scratch = stores.scratch
        self.store = SealedStore(stores.store, seals)

    def apart(self) -> AbstractAsyncContextManager[RunQueue] | None:
        """For heartbeats, which see nothing that is sealed."""
        return self._stores.apart()

    async def health(self) -> Mapping[str, str]:
        return await self._stores.health()

    async def __aenter__(self) -> Self:
        await self._stores.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stores.__aexit__(kind, error, trace)


@dataclass(frozen=True, kw_only=True)
class SealedBackend:
    """Another backend, whose contents only those can read who have one of ``keys``: 32 bytes each, in base64.

    The first key encrypts. What was written before, plain or under another of the keys, stays readable.
    """

    backend: MemoryBackend | SqliteBackend | PostgresRedisBackend
    keys: Sequence[str] = field(repr=False)

    @property
    def name(self) -> str:
        """Where everything is, and that it is encrypted."""
        return f"{self.backend.name}, encrypted"

    def connect(self) -> SealedStores:
        """The parts, not open yet. Raises ConfigurationError for a malformed key."""
        keys = Keyring(self.keys)
        return SealedStores(replace(self.backend, serde=keys.serializer()).connect(), keys)


async def check_keys(checkpointer: Checkpointer) -> None:
    """Compare the keys with those that sealed what is kept there. Raises ConfigurationError.

    Of whoever encrypts it leaves a sample under the first key.
    """
    try:
        await checkpointer.aget_tuple({"configurable": SAMPLE})
    except SealedError as error:
        raise ConfigurationError(f"What is kept here cannot be read: {error}") from error
    except NotImplementedError as error:  # no serialiser of ours, then, knows the type
        raise ConfigurationError(
            "What is kept here is encrypted: set FAST_GRAPH_ENCRYPTION_KEYS to its keys"
        ) from error
    if isinstance(checkpointer.serde, EncryptedSerializer) and isinstance(checkpointer.serde.cipher, Keyring):
        await _leave_sample(checkpointer, checkpointer.serde.cipher.first)


async def _leave_sample(checkpointer: Checkpointer, key: str) -> None:
    versions: ChannelVersions = {"sample": key}
    sample = Checkpoint(
        v=1,
        id=SAMPLE_ID,
        ts="2000-01-01T00:00:00+00:00",
        channel_values={"sample": "readable"},
        channel_versions=versions,
        versions_seen={},
        updated_channels=None,
    )
    await checkpointer.aput({"configurable": SAMPLE}, sample, {}, versions)
