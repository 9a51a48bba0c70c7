"""The environment, read once. Only the runtime and what is above it know this module."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SCHEMES = {
    "postgres_url": ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"),
    "redis_url": ("redis", "rediss", "unix"),
    "jwt_jwks_url": ("https", "http"),
}


class Settings(BaseSettings):
    """Everything that can be set without code, in the environment or in a ``.env`` file. Times in seconds.

    A field is set as ``FAST_GRAPH_<NAME>``, unless it has an alias. Which fields are set chooses the backend: none of
    them memory, ``sqlite_path`` SQLite, ``postgres_url`` with a Redis PostgreSQL and Redis; half a choice is refused.
    """

    model_config = SettingsConfigDict(
        env_prefix="FAST_GRAPH_",
        env_file=".env",
        env_ignore_empty=True,
        env_parse_none_str="none",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # URLs carry passwords
        populate_by_name=True,
    )

    sqlite_path: Path | None = None
    """The file that keeps everything; for one process."""
    postgres_url: str | None = Field(default=None, repr=False, validation_alias="POSTGRE_DATABASE_URL")
    """The database that keeps everything, for any number of processes: ``postgresql://user:password@host/name``."""
    postgres_pool_size: int = Field(default=10, ge=1, validation_alias="POSTGRE_DB_POOL_SIZE")
    """Database connections that this process keeps open."""
    postgres_max_overflow: int = Field(default=10, ge=0, validation_alias="POSTGRE_DB_MAX_OVERFLOW")
    """Database connections that it opens beyond those, for a while."""
    postgres_echo: bool = Field(default=False, validation_alias="POSTGRE_DB_ECHO")
    """Whether every statement is logged."""

    redis_url: str | None = Field(default=None, repr=False, validation_alias="REDIS_URL")
    """The Redis that carries streams and signals, in place of the next four."""
    redis_host: str | None = Field(default=None, validation_alias="REDIS_HOST")
    redis_port: int = Field(default=6379, ge=1, le=65_535, validation_alias="REDIS_PORT")
    redis_password: str | None = Field(default=None, repr=False, validation_alias="REDIS_PASSWORD")
    redis_db: int = Field(default=0, ge=0, validation_alias="REDIS_DB")
    redis_max_connections: int = Field(default=50, ge=1, validation_alias="REDIS_MAX_CONNECTIONS")
    """Redis connections of this process at most."""
    redis_key_prefix: str = Field(default="fast_graph", min_length=1, validation_alias="REDIS_KEY_PRE")
    """What every key begins with, so that several installations may share one Redis."""

    encryption_keys: Annotated[tuple[str, ...], NoDecode] = Field(default=(), repr=False)
    """Keys to encrypt what is kept, separated by commas, each 32 bytes in base64: the first encrypts, all decrypt."""

    outgoing_loopback: bool = False
    """Whether webhooks and other URLs that clients give may lead to this machine; for development."""
    outgoing_private: bool = False
    """Whether they may lead into private networks; never to addresses of one link, where clouds keep credentials."""
    outgoing_https_only: bool = False
    """Whether they must begin with ``https://``."""
    outgoing_domains: Annotated[tuple[str, ...], NoDecode] = ()
    """The only hosts they may name, separated by commas; ``*.example.com`` are those below it. Empty is any."""
    outgoing_ports: Annotated[tuple[int, ...], NoDecode] = (80, 443)
    """The only ports, separated by commas."""
    outgoing_max_length: int = Field(default=2048, ge=16)
    """How long such a URL may be."""

    migrate: bool = True
    """Whether a starting process brings the database up to date."""
    worker: bool = True
    """Whether this process executes runs."""

    worker_slots: int = Field(default=512, ge=1)
    """Runs executed at a time by this process."""
    sync_threads: int = Field(default=64, ge=1)
    """Threads for nodes that are plain functions, so that a slow one holds up no other."""
    run_timeout: float | None = Field(default=86_400, gt=0)
    """How long a run may take before it ends as ``timeout``."""
    max_attempts: int = Field(default=3, ge=1)
    """How often a run is taken up again after its worker was lost."""
    lease: float = Field(default=6, gt=0)
    """How long a run stays with a worker that gives no sign of life."""
    heartbeat: float = Field(default=2, gt=0)
    """How often a worker gives a sign of life."""
    poll: float = Field(default=5, gt=0)
    """How often workers and readers look by themselves, in case a signal was lost."""
    drain: float = Field(default=10, ge=0)
    """How long a stopping process lets runs come to their next checkpoint."""

    memory_max_threads: int = Field(default=100_000, ge=1)
    """Memory backend: threads kept; more are refused."""
    memory_max_pending_runs: int = Field(default=10_000, ge=1)
    """Memory backend: runs that wait to start; more are refused."""
    memory_max_runs_per_thread: int = Field(default=1_000, ge=1)
    """Memory backend: finished runs kept on one thread; the oldest go."""
    stream_max_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """How much of one run's stream is kept; the oldest events go."""
    stream_kept_max_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    """How much of all finished resumable streams is kept; the oldest streams go."""
    stream_ttl: float = Field(default=120, ge=0)
    """How long the stream of a finished resumable run can still be read."""

    jwt_key: str | None = Field(default=None, repr=False)
    """Callers send JSON Web Tokens that this key signs: a public key in PEM, or a secret for HS256."""
    jwt_jwks_url: str | None = None
    """The same, with the keys that the issuer publishes at this URL, which may change at any time."""
    jwt_jwks_ttl: float = Field(default=300, gt=0)
    """How long published keys are taken to be good before they are read again."""
    jwt_issuer: str | None = None
    """Who must have issued a token (``iss``)."""
    jwt_audience: str | None = None
    """Whom a token must be for (``aud``); several are separated by commas, and one of them will do."""
    jwt_leeway: float = Field(default=0, ge=0)
    """How far the clocks of issuer and server may differ."""
    api_keys: str | None = Field(default=None, repr=False)
    """Callers send API keys: ``<identity>:<SHA-256 of the key>``, separated by commas, as ``fast-graph key`` makes."""
    private_store: bool = True
    """Whether callers, known by a token or key, reach only the store's namespaces below their own identity."""

    max_body_bytes: int | None = Field(default=64 * 1024 * 1024, ge=1)
    """How large a request's body may be."""
    max_event_bytes: int | None = Field(default=128 * 1024 * 1024, ge=1)
    """How large one event of a run's stream may be; a run that says more ends as ``error``."""
    max_value_bytes: int | None = Field(default=128 * 1024 * 1024, ge=1)
    """How large one value of a graph's state may be, with SQLite all of it; a run that writes more ends as ``error``.
    """
    max_recursion_limit: int | None = Field(default=100_000, ge=1)
    """The highest recursion limit that a run may ask for."""
    max_pending_runs: int | None = Field(default=None, ge=1)
    """Runs that wait to start, all instances together; more are refused."""
    max_runs_per_caller: int | None = Field(default=None, ge=1)
    """Runs of one caller in flight, all instances together; more are refused."""
    max_runs_per_graph: int | None = Field(default=None, ge=1)
    """Runs of one graph in flight, all instances together; more are refused."""
    max_streams_per_caller: int | None = Field(default=10_000, ge=1)
    """Streams, waits and WebSockets that one caller may hold open on this process."""
    rate_limit: str | None = None
    """How often one caller may come, such as ``100/second`` or ``10/second;1000/hour``."""

    request_timeout: float | None = Field(default=120, gt=0)
    """How long a request may take to arrive, from its first byte or the opened connection on."""
    keep_alive: int = Field(default=5, ge=1)
    """How long a connection may be idle between two requests."""
    max_header_bytes: int = Field(default=65_536, ge=1024)
    """How large the address and the headers of a request may be."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ("*",)
    """Origins whose pages may use the API, separated by commas. With auth, none unless they are named."""
    cors_methods: Annotated[tuple[str, ...], NoDecode] = ("*",)
    """Methods they may use."""
    cors_headers: Annotated[tuple[str, ...], NoDecode] = ("*",)
    """Headers they may send."""
    cors_credentials: bool = False
    """Whether they may send cookies and other credentials that browsers add by themselves."""
    cors_max_age: int = Field(default=600, ge=0)
    """How long browsers may remember all this."""

    @field_validator(
        "cors_origins",
        "cors_methods",
        "cors_headers",
        "encryption_keys",
        "outgoing_domains",
        "outgoing_ports",
        mode="before",
    )
    @classmethod
    def _split(cls, names: object) -> object:
        return [name.strip() for name in names.split(",")] if isinstance(names, str) else names

    @field_validator("rate_limit")
    @classmethod
    def _is_a_rate(cls, rate: str | None) -> str | None:
        if rate is not None:
            parse_many(rate)
        return rate

    @model_validator(mode="after")
    def _credentials_for_friends(self) -> Self:
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("with FAST_GRAPH_CORS_CREDENTIALS, FAST_GRAPH_CORS_ORIGINS has to name the origins, not *")
        return self

    @field_validator("redis_port", mode="before")
    @classmethod
    def _of_kubernetes(cls, port: object) -> object:
        """For a service named redis, Kubernetes sets REDIS_PORT by itself, to ``tcp://10.0.0.1:6379``."""
        return urlsplit(port).port if isinstance(port, str) and port.startswith("tcp://") else port

    @field_validator("postgres_url", "redis_url", "jwt_jwks_url")
    @classmethod
    def _has_scheme(cls, url: str | None, field: ValidationInfo) -> str | None:
        """What is refused is not repeated: it may carry a password."""
        schemes = SCHEMES[field.field_name or ""]
        if url is not None and url.partition("://")[0] not in schemes:
            raise ValueError(f"the URL must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return url

    @model_validator(mode="after")
    def _one_backend(self) -> Self:
        if self.redis_url and self.redis_host:
            raise ValueError("REDIS_URL and REDIS_HOST both say where Redis is: remove one of them")
        if self.sqlite_path and self.postgres_url:
            raise ValueError("FAST_GRAPH_SQLITE_PATH and POSTGRE_DATABASE_URL name two databases: remove one of them")
        return self

    @model_validator(mode="after")
    def _whole_backend(self) -> Self:
        redis = "REDIS_URL" if self.redis_url else "REDIS_HOST" if self.redis_host else None
        if redis and not self.postgres_url:
            raise ValueError(
                f"{redis} names a Redis, but there is no PostgreSQL, which keeps what Redis announces: "
                f"set POSTGRE_DATABASE_URL too, or remove {redis}"
            )
        if self.postgres_url and not redis:
            raise ValueError(
                "POSTGRE_DATABASE_URL names a PostgreSQL, but there is no Redis, which carries streams and signals: "
                "set REDIS_HOST or REDIS_URL too, or remove POSTGRE_DATABASE_URL"
            )
        return self

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if self.jwt_key and self.jwt_jwks_url:
            raise ValueError("FAST_GRAPH_JWT_KEY and FAST_GRAPH_JWT_JWKS_URL both name keys: remove one of them")
        if (self.jwt_issuer or self.jwt_audience) and not (self.jwt_key or self.jwt_jwks_url):
            raise ValueError("an issuer or audience of tokens is set, but no key: set FAST_GRAPH_JWT_JWKS_URL or _KEY")
        return self

    @model_validator(mode="after")
    def _lease_outlives_heartbeat(self) -> Self:
        if self.heartbeat >= self.lease:
            raise ValueError("the heartbeat must be shorter than the lease, or every run is lost: a third is usual")
        return self
