"""The port of a whole backend: every store the services and the engine need, opened and closed together."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from langgraph.store.base import BaseStore

from fast_graph.storage.assistants import AssistantStore
from fast_graph.storage.checkpoints import Checkpointer
from fast_graph.storage.queue import RunQueue
from fast_graph.storage.runs import RunStore
from fast_graph.storage.signals import Signals
from fast_graph.storage.stream import StreamLog
from fast_graph.storage.threads import ThreadStore


class Stores(AbstractAsyncContextManager["Stores"], Protocol):
    """The parts of a backend. Entering opens connections and starts what works in the background; leaving ends it."""

    @property
    def assistants(self) -> AssistantStore:
        """Assistants and their versions."""
        ...

    @property
    def threads(self) -> ThreadStore:
        """Threads."""
        ...

    @property
    def runs(self) -> RunStore:
        """Runs, for those who want them run."""
        ...

    @property
    def queue(self) -> RunQueue:
        """Runs, for those who run them."""
        ...

    @property
    def streams(self) -> StreamLog:
        """What runs say."""
        ...

    @property
    def signals(self) -> Signals:
        """The doorbells."""
        ...

    @property
    def checkpointer(self) -> Checkpointer:
        """LangGraph's checkpoints, with copying, pruning and deleting by run."""
        ...

    @property
    def scratch(self) -> Checkpointer:
        """Checkpoints of temporary threads, which nobody can come back to: they may end with the process."""
        ...

    @property
    def store(self) -> BaseStore:
        """LangGraph's long-term store."""
        ...

    def apart(self) -> AbstractAsyncContextManager[RunQueue] | None:
        """The same queue for one more event loop, on a thread of its own; ``None`` if it serves this loop alone."""
        ...

    async def health(self) -> Mapping[str, str]:
        """The servers behind this backend by name, each with ``ok`` or what is wrong. Takes a second or two at most."""
        ...


class Backend(Protocol):
    """Where everything is kept. A value: it connects to nothing by itself."""

    @property
    def name(self) -> str:
        """A few words for the line that is logged at start-up."""
        ...

    def connect(self) -> Stores:
        """The parts, not open yet. Does no I/O."""
        ...
