"""Redis for tests. It logs every write before it answers, so that a kill loses nothing it has acknowledged."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tests.services.processes import LOCAL, Bench, Server, free_port
from tests.services.programs import REDIS, find


def redis_server(bench: Bench) -> Server:
    """A new server, not started yet."""
    place, port = bench.place("redis"), free_port()
    url = f"redis://{LOCAL}:{port}/0"
    options: dict[str, object] = {
        "port": port,
        "bind": LOCAL,
        "dir": place,
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",  # matters when the machine dies, not when the process does
    }
    words = (word for name, value in options.items() for word in (f"--{name}", str(value)))
    command = [str(find(REDIS)), *words]
    return Server(bench=bench, place=place, port=port, url=url, command=command, ready=lambda: answers(url))


def answers(url: str) -> bool:
    """Whether it has loaded its data and serves."""
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def is_empty(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return bool(client.dbsize() == 0)


@contextmanager
def emptied(url: str) -> Iterator[str]:
    """The database that the URL names, empty before and after."""
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        try:
            yield url
        finally:
            client.flushdb()
