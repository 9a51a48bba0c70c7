"""What the environment may say, and what it may not."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from fast_graph import Settings


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a .env file, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FAST_GRAPH_{name.upper()}", raising=False)
    return tmp_path


def test_the_defaults_work() -> None:
    settings = Settings()
    assert settings.heartbeat < settings.lease
    assert settings.cors_origins == ("*",)
    assert settings.run_timeout == 86_400


@pytest.mark.parametrize("said", ["none"])
def test_none_lifts_the_time_limit(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("FAST_GRAPH_RUN_TIMEOUT", said)
    assert Settings().run_timeout is None


@pytest.mark.parametrize("name", ["RUN_TIMEOUT", "LEASE", "CORS_ORIGINS", "WORKER_SLOTS"])
def test_an_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"FAST_GRAPH_{name}", "")
    assert Settings() == Settings.model_construct()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("*", ("*",)),
        ("https://a.example", ("https://a.example",)),
        ("https://a.example,https://b.example", ("https://a.example", "https://b.example")),
        (" https://a.example , https://b.example ", ("https://a.example", "https://b.example")),
    ],
)
def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, said: str, meant: tuple[str, ...]) -> None:
    monkeypatch.setenv("FAST_GRAPH_CORS_ORIGINS", said)
    assert Settings().cors_origins == meant


def test_a_file_is_read_and_the_environment_wins(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / ".env").write_text("FAST_GRAPH_POLL=7\nFAST_GRAPH_DRAIN=3\nOTHER=1\n")
    monkeypatch.setenv("FAST_GRAPH_DRAIN", "4")
    settings = Settings()
    assert (settings.poll, settings.drain) == (7, 4)


@pytest.mark.parametrize(("heartbeat", "lease"), [(10, 10), (11, 10), (40, 30)])
def test_a_heartbeat_that_does_not_keep_the_lease_is_refused(heartbeat: float, lease: float) -> None:
    with pytest.raises(ValidationError, match="the heartbeat must be shorter than the lease"):
        Settings(heartbeat=heartbeat, lease=lease)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("worker_slots", 0),
        ("sync_threads", 0),
        ("run_timeout", 0),
        ("max_attempts", 0),
        ("lease", 0),
        ("heartbeat", 0),
        ("poll", 0),
        ("drain", -1),
        ("memory_max_threads", 0),
        ("stream_max_bytes", 1023),
        ("stream_kept_max_bytes", -1),
        ("stream_ttl", -1),
    ],
)
def test_what_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setenv(f"FAST_GRAPH_{name.upper()}", str(value))
    with pytest.raises(ValidationError, match=name):
        Settings()
