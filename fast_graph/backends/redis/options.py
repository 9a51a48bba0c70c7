"""Where Redis is and how much of it one process uses. A value: it reads no environment and connects to nothing."""

from dataclasses import dataclass, field
from typing import Any

from redis.asyncio.connection import ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fast_graph.model.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class RedisOptions:
    """Redis 6.2 or newer, or what speaks like it. A ``url`` says everything that the fields before it say."""

    host: str = "localhost"
    port: int = 6379
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int = 0
    ssl: bool = False
    url: str | None = field(default=None, repr=False)
    """``redis://``, ``rediss://`` or ``unix://``, with any option of redis-py's connections in its query."""
    max_connections: int = 16
    """Connections for commands. One more listens, for the whole process."""
    key_prefix: str = "fast_graph"
    """What every key and channel begins with: applications that share a Redis need one each."""
    timeout: float = 5.0
    """Seconds that one command may take, a wait for a connection included."""

    @property
    def where(self) -> str:
        """The address as people write it, without secrets. Raises ConfigurationError."""
        address = self._address()
        return str(address.get("path") or f"{address.get('host', 'localhost')}:{address.get('port', 6379)}")

    def pool(self) -> ConnectionPool:
        """A new pool of connections, none of them open. Raises ConfigurationError."""
        return ConnectionPool(
            **{
                **self._address(),
                "max_connections": self.max_connections,
                "client_name": self.key_prefix,
                "decode_responses": False,
                "protocol": 2,
                "socket_connect_timeout": self.timeout,
                # Whoever sends a command limits all of it, and knows whether it may be sent twice.
                "socket_timeout": None,
                "retry": Retry(NoBackoff(), 0),
            }
        )

    def _address(self) -> dict[str, Any]:
        if self.url is None:
            login = {"username": self.username, "password": self.password, "db": self.db}
            secure = {"connection_class": SSLConnection} if self.ssl else {}
            return {"host": self.host, "port": self.port, **login, **secure}
        try:
            return dict(parse_url(self.url))
        except ValueError as error:
            raise ConfigurationError("The URL of Redis is malformed: write redis://host:6379/0") from error
