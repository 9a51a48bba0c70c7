"""The environment, read once. Only the runtime and what is above it know this module."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Everything that can be set without code, as ``FAST_GRAPH_<NAME>`` or in a ``.env`` file. Times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="FAST_GRAPH_",
        env_file=".env",
        env_ignore_empty=True,
        env_parse_none_str="none",
        extra="ignore",
        frozen=True,
    )

    worker_slots: int = Field(default=512, ge=1)
    """Runs executed at a time by this process."""
    sync_threads: int = Field(default=64, ge=1)
    """Threads for nodes that are plain functions, so that a slow one holds up no other."""
    run_timeout: float | None = Field(default=86_400, gt=0)
    """How long a run may take before it ends as ``timeout``."""
    max_attempts: int = Field(default=3, ge=1)
    """How often a run is taken up again after its worker was lost."""
    lease: float = Field(default=30, gt=0)
    """How long a run stays with a worker that gives no sign of life."""
    heartbeat: float = Field(default=10, gt=0)
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

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ("*",)
    """Origins whose pages may use the API, separated by commas."""

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, origins: object) -> object:
        return [origin.strip() for origin in origins.split(",")] if isinstance(origins, str) else origins

    @model_validator(mode="after")
    def _lease_outlives_heartbeat(self) -> Self:
        if self.heartbeat >= self.lease:
            raise ValueError("the heartbeat must be shorter than the lease, or every run is lost: a third is usual")
        return self
