"""FastGraph: LangGraph graphs behind an API that every LangGraph client understands."""

from fast_graph.app import fastGraph
from fast_graph.backends.memory.backend import MemoryBackend
from fast_graph.backends.memory.ledger import Bounds
from fast_graph.backends.postgres.engine import PostgresOptions
from fast_graph.backends.postgres_redis import PostgresRedisBackend
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.backends.sealed.backend import SealedBackend
from fast_graph.backends.sqlite.backend import SqliteBackend
from fast_graph.model.errors import ConfigurationError
from fast_graph.runtime import Runtime
from fast_graph.settings import Settings

__all__ = [
    "Bounds",
    "ConfigurationError",
    "MemoryBackend",
    "PostgresOptions",
    "PostgresRedisBackend",
    "RedisOptions",
    "Runtime",
    "SealedBackend",
    "Settings",
    "SqliteBackend",
    "fastGraph",
]
