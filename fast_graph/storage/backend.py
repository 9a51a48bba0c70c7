"""The port of a whole backend: every store the services and the engine need, opened and closed together."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from fast_graph.storage.assistants import AssistantStore
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
    def checkpointer(self) -> BaseCheckpointSaver[Any]:
        """LangGraph's checkpoints, with copying, pruning and deleting by run."""
        ...

    @property
    def store(self) -> BaseStore:
        """LangGraph's long-term store."""
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
