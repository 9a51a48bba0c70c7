"""The memory backend: one process, nothing kept after it ends. The reference that every other one is held to."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from langgraph.checkpoint.serde.base import SerializerProtocol

from fast_graph.backends.memory.assistants import MemoryAssistants
from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from fast_graph.backends.memory.items import MemoryStore
from fast_graph.backends.memory.ledger import Bounds, Ledger
from fast_graph.backends.memory.queue import MemoryQueue
from fast_graph.backends.memory.runs import MemoryRuns
from fast_graph.backends.memory.signals import MemorySignals
from fast_graph.backends.memory.streams import MemoryStreams
from fast_graph.backends.memory.threads import MemoryThreads
from fast_graph.model.clock import Clock, system_clock


class MemoryStores(AbstractAsyncContextManager["MemoryStores"]):
    """The parts of an open memory backend."""

    def __init__(self, clock: Clock, bounds: Bounds, serde: SerializerProtocol | None = None) -> None:
        self.ledger = Ledger(clock, bounds)
        self.assistants = MemoryAssistants(clock)
        self.threads = MemoryThreads(self.ledger)
        self.runs = MemoryRuns(self.ledger)
        self.queue = MemoryQueue(self.ledger)
        self.streams = MemoryStreams(clock, bounds)
        self.signals = MemorySignals()
        self.checkpointer = self.scratch = MemoryCheckpointer(self.ledger.is_held, serde=serde)
        self.store = MemoryStore()

    def apart(self) -> None:
        """Nothing here is for another thread, and a blocked loop reaps no leases."""

    async def health(self) -> Mapping[str, str]:
        return {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: what is kept goes with the object."""


@dataclass(frozen=True)
class MemoryBackend:
    """Everything in this process's memory, within ``bounds``."""

    bounds: Bounds = field(default_factory=Bounds)
    clock: Clock = system_clock
    serde: SerializerProtocol | None = None
    """How checkpoints become bytes, if not as LangGraph does it."""
    name: str = "memory"

    def connect(self) -> MemoryStores:
        """New and empty stores."""
        return MemoryStores(self.clock, self.bounds, self.serde)
