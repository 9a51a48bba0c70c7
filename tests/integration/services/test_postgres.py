import socket

import psutil
import psycopg
import pytest

from tests.services.postgres import scratch_database
from tests.services.processes import Server, family, gone

SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_database(postgres_url: str, turn: int) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT * FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []
        connection.execute("CREATE TABLE left_behind (turn int)")


def test_a_scratch_database_goes_even_if_somebody_is_connected(session_postgres: str) -> None:
    with scratch_database(session_postgres) as url:
        connection = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError), connection:
        connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_notifications_reach_another_connection(postgres_url: str) -> None:
    with (
        psycopg.connect(postgres_url, autocommit=True) as listener,
        psycopg.connect(postgres_url, autocommit=True) as speaker,
    ):
        listener.execute("LISTEN bell")
        speaker.execute("NOTIFY bell, 'ring'")
        [notification] = listener.notifies(stop_after=1)
        assert notification.payload == "ring"


def test_postgres_survives_a_kill_with_all_it_committed(own_postgres: Server) -> None:
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE numbers (number int)")
        for number in range(200):
            connection.execute("INSERT INTO numbers VALUES (%s)", [number])
        connection.execute("BEGIN")
        connection.execute("INSERT INTO numbers VALUES (-1)")
        own_postgres.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("COMMIT")
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT count(*), min(number) FROM numbers").fetchone() == (200, 0)


def test_a_kill_reaches_every_process_of_postgres(own_postgres: Server) -> None:
    members = family(own_postgres.pid)
    own_postgres.kill()
    assert len(members) > 1
    assert all(map(gone, members))
    own_postgres.start()


def test_a_paused_postgres_answers_once_it_resumes(own_postgres: Server) -> None:
    own_postgres.pause()
    with socket.create_connection(("127.0.0.1", own_postgres.port)) as sock:
        sock.sendall(SSL_REQUEST)
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        own_postgres.resume()
        sock.settimeout(None)
        assert sock.recv(1) in b"SN"


def test_postgres_serves_on_tcp_alone_and_never_as_root(own_postgres: Server) -> None:
    server = psutil.Process(own_postgres.pid)
    assert not any(sock.laddr for sock in server.net_connections("unix"))
    assert server.uids().effective != 0
