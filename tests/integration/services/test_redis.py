import socket

import pytest
import redis

from tests.services.processes import Server


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_database(redis_url: str, turn: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left behind", turn)


def test_what_the_backend_builds_on_is_there(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.xgroup_create("stream", "group", mkstream=True)
        client.xadd("stream", {"event": "1"})
        client.xreadgroup("group", "lost", {"stream": ">"})
        [_, claimed, *_] = client.xautoclaim("stream", "group", "finder", min_idle_time=0)
        assert [fields for _, fields in claimed] == [{"event": "1"}]
        assert client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "number", "7") == 7


def test_messages_reach_another_client(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=False) as listener:
        listener.subscribe("bell")
        listener.get_message(timeout=None)
        client.publish("bell", "ring")
        message = listener.get_message(timeout=None)
        assert message is not None
        assert message["data"] == b"ring"


def test_redis_survives_a_kill_with_all_it_acknowledged(own_redis: Server) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        for number in range(500):
            client.rpush("numbers", number)
        own_redis.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        own_redis.start()
        assert client.llen("numbers") == 500


def test_a_paused_redis_answers_once_it_resumes(own_redis: Server) -> None:
    with socket.create_connection(("127.0.0.1", own_redis.port)) as sock:
        own_redis.pause()
        sock.sendall(b"PING\r\n")
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(100)
        own_redis.resume()
        sock.settimeout(None)
        assert sock.recv(100) == b"+PONG\r\n"
