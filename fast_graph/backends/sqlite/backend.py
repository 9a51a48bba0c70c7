"""The backend of one file: durable, for one process."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.store.base import IndexConfig

from fast_graph.backends.memory.checkpoints import MemoryCheckpointer
from fast_graph.backends.memory.signals import MemorySignals
from fast_graph.backends.sql.assistants import SqlAssistants
from fast_graph.backends.sql.database import Database
from fast_graph.backends.sql.dialects import SqliteJson
from fast_graph.backends.sql.migrating import upgrade
from fast_graph.backends.sql.queue import SqlQueue
from fast_graph.backends.sql.runs import SqlRuns
from fast_graph.backends.sql.threads import SqlThreads
from fast_graph.backends.sqlite.checkpoints import SqliteCheckpointer
from fast_graph.backends.sqlite.engine import open_engine
from fast_graph.backends.sqlite.file import SqliteFile
from fast_graph.backends.sqlite.items import SqliteStore
from fast_graph.backends.sqlite.streams import SqliteStreams, StreamBounds
from fast_graph.model.clock import Clock, system_clock
from fast_graph.model.errors import ConfigurationError, UnavailableError


class SqliteStores(AbstractAsyncContextManager["SqliteStores"]):
    """The parts of the backend."""

    def __init__(self, backend: "SqliteBackend") -> None:
        self._path = backend.path
        self._engine = open_engine(backend.path)
        self._file = SqliteFile(backend.path)
        database, clock = Database(self._engine, SqliteJson()), backend.clock
        self.assistants = SqlAssistants(database, clock)
        self.threads = SqlThreads(database, clock)
        self.runs = SqlRuns(database, clock)
        self.queue = SqlQueue(database, clock)
        self.streams = SqliteStreams(self._file, clock, backend.streams)
        self.signals = MemorySignals()
        self.checkpointer = SqliteCheckpointer(self._file, serde=backend.serde)
        self.scratch = MemoryCheckpointer()
        self.store = SqliteStore(self._file, clock, index=backend.index)
        self._open = AsyncExitStack()

    def apart(self) -> None:
        """Nobody else can take a lease from this process, so its loop may stand still."""

    async def health(self) -> Mapping[str, str]:
        return {}

    async def migrate(self) -> str:
        """Bring the file up to date. Says what was done."""
        async with self:
            return f"The file {self._path} is up to date"

    async def __aenter__(self) -> Self:
        if not self._path.parent.is_dir():
            raise ConfigurationError(
                f"There is no folder {self._path.parent}: FAST_GRAPH_SQLITE_PATH names a file in it"
            )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._engine.dispose)
            try:
                async with self._engine.begin() as connection:
                    await connection.run_sync(upgrade)
                await stack.enter_async_context(self._file)
                for part in (self.checkpointer, self.store, self.streams):
                    await part.setup()
            except UnavailableError as error:
                raise ConfigurationError(f"The file {self._path} cannot be used: {error.__cause__ or error}") from error
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()


@dataclass(frozen=True, kw_only=True)
class SqliteBackend:
    """Everything in the file ``path``, which one process at a time may use."""

    path: Path
    streams: StreamBounds = field(default_factory=StreamBounds)
    index: IndexConfig | None = None
    """How store items are searched by meaning: embeddings, dimensions, fields."""
    clock: Clock = system_clock
    serde: SerializerProtocol | None = None
    """How checkpoints become bytes, if not as LangGraph does it."""

    @property
    def name(self) -> str:
        """Where everything is."""
        return f"SQLite ({self.path})"

    def connect(self) -> SqliteStores:
        """The parts, not open yet."""
        return SqliteStores(self)
