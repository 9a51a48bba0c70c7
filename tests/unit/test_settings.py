"""What the environment may say, and what it may not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fast_graph import Settings


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a .env file, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name, field in Settings.model_fields.items():
        monkeypatch.delenv(str(field.validation_alias or f"FAST_GRAPH_{name.upper()}"), raising=False)
    return tmp_path


def test_the_defaults_work() -> None:
    settings = Settings()
    assert settings.heartbeat < settings.lease
    assert settings.cors_origins == ("*",)
    assert settings.run_timeout == 86_400
    assert (settings.worker, settings.migrate) == (True, True)


def test_a_crash_is_noticed_within_ten_seconds() -> None:
    settings = Settings()
    assert settings.lease + settings.heartbeat < 10


@pytest.mark.parametrize("said", ["none"])
def test_none_lifts_the_time_limit(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("FAST_GRAPH_RUN_TIMEOUT", said)
    assert Settings().run_timeout is None


@pytest.mark.parametrize(
    "name", ["FAST_GRAPH_RUN_TIMEOUT", "FAST_GRAPH_LEASE", "FAST_GRAPH_CORS_ORIGINS", "REDIS_URL", "REDIS_PORT"]
)
def test_an_empty_value_is_the_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
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
        ("postgres_pool_size", 0),
        ("postgres_max_overflow", -1),
        ("redis_port", 0),
        ("redis_port", 65_536),
        ("redis_db", -1),
        ("redis_max_connections", 0),
        ("redis_key_prefix", ""),
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
def test_what_cannot_work_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


# Which backend.

URL = "postgresql://me:sesame@db.example:5432/agents"


def test_every_name_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "POSTGRE_DATABASE_URL": URL,
        "POSTGRE_DB_POOL_SIZE": "3",
        "POSTGRE_DB_MAX_OVERFLOW": "4",
        "POSTGRE_DB_ECHO": "true",
        "REDIS_HOST": "redis.example",
        "REDIS_PORT": "6380",
        "REDIS_PASSWORD": "open",
        "REDIS_DB": "5",
        "REDIS_MAX_CONNECTIONS": "6",
        "REDIS_KEY_PRE": "mine",
        "FAST_GRAPH_WORKER": "false",
        "FAST_GRAPH_MIGRATE": "0",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert Settings() == Settings(
        postgres_url=URL,
        postgres_pool_size=3,
        postgres_max_overflow=4,
        postgres_echo=True,
        redis_host="redis.example",
        redis_port=6380,
        redis_password="open",
        redis_db=5,
        redis_max_connections=6,
        redis_key_prefix="mine",
        worker=False,
        migrate=False,
    )


def test_the_other_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAST_GRAPH_SQLITE_PATH", "data/agents.sqlite")
    assert Settings().sqlite_path == Path("data/agents.sqlite")
    monkeypatch.delenv("FAST_GRAPH_SQLITE_PATH")
    monkeypatch.setenv("POSTGRE_DATABASE_URL", URL)
    monkeypatch.setenv("REDIS_URL", "rediss://:open@redis.example/1")
    assert Settings().redis_url == "rediss://:open@redis.example/1"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_a_postgres_url_may_name_a_driver(scheme: str) -> None:
    url = f"{scheme}://me:sesame@db.example/agents"
    assert Settings(postgres_url=url, redis_host="redis").postgres_url == url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"redis_host": "redis"}, "REDIS_HOST names a Redis, but there is no PostgreSQL.*: set POSTGRE_DATABASE_URL"),
        ({"redis_url": "redis://r"}, "REDIS_URL names a Redis, but there is no PostgreSQL.*, or remove REDIS_URL"),
        ({"postgres_url": URL}, "POSTGRE_DATABASE_URL names a PostgreSQL, but there is no Redis.*: set REDIS_HOST or"),
        (
            {"postgres_url": URL, "redis_host": "redis", "sqlite_path": "here"},
            "FAST_GRAPH_SQLITE_PATH and POSTGRE_DATABASE_URL name two databases: remove one",
        ),
        (
            {"postgres_url": URL, "redis_host": "redis", "redis_url": "redis://:sesame@r"},
            "REDIS_URL and REDIS_HOST both say where Redis is: remove one",
        ),
        ({"postgres_url": "mysql://me:sesame@db/agents", "redis_host": "redis"}, "must begin with postgresql://"),
        ({"postgres_url": "me:sesame@db/agents", "redis_host": "redis"}, "must begin with postgresql://"),
        ({"postgres_url": URL, "redis_url": "http://:sesame@redis"}, "must begin with redis://"),
    ],
)
def test_half_a_choice_is_refused_and_no_secret_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        Settings(**given)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"jwt_key": "sesame" * 9, "jwt_jwks_url": "https://us/keys"}, "both name keys: remove one"),
        ({"jwt_audience": "us"}, "no key: set FAST_GRAPH_JWT_JWKS_URL or _KEY"),
        ({"jwt_jwks_url": "file:///etc/passwd"}, "must begin with https://"),
    ],
)
def test_tokens_without_one_source_of_keys_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        Settings(**given)
    assert "sesame" not in str(refused.value)


def test_a_password_is_no_choice() -> None:
    assert Settings(redis_password="open").redis_host is None


def test_secrets_are_not_shown() -> None:
    pieces = Settings(postgres_url=URL, redis_host="redis", redis_password="sesame")
    whole = Settings(postgres_url=URL, redis_url="redis://:sesame@redis")
    keys = Settings(jwt_key="sesame" * 9, api_keys="sesame")
    assert "sesame" not in f"{pieces!r} {pieces} {whole!r} {whole} {keys!r} {keys}"


@pytest.mark.parametrize("said", ["tcp://10.0.0.1:6380", "6380"])
def test_the_port_that_kubernetes_sets_is_understood(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("REDIS_PORT", said)
    assert Settings().redis_port == 6380
