"""What a process's connections to Redis do when Redis is not there, and how many there are."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
import redis

from fast_graph.backends.redis.link import RedisLink
from fast_graph.backends.redis.options import RedisOptions
from fast_graph.model.errors import ConfigurationError, UnavailableError
from fast_graph.testing.rows import new_id
from tests.services.plugin import StartProxy
from tests.services.processes import Server, free_port
from tests.unit.backends.redis.processes import (
    DONE,
    PATIENCE,
    Process,
    events,
    new_lease,
    numbers,
    rest,
    say,
    until,
)

PASSWORD = "open sesame"


async def enter(options: RedisOptions) -> None:
    async with RedisLink(options):
        """It is up."""


async def test_a_wrong_address_is_a_clear_error() -> None:
    port = free_port()
    with pytest.raises(ConfigurationError, match=f"localhost:{port} does not answer"):
        await enter(RedisOptions(host="localhost", port=port))


async def test_a_server_that_does_not_speak_is_a_clear_error(own_redis: Server) -> None:
    own_redis.pause()
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{own_redis.port} does not answer"):
        await enter(RedisOptions(url=own_redis.url, timeout=0.2))


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_a_wrong_password_is_a_clear_error_that_does_not_tell_it(own_redis: Server, password: str | None) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("requirepass", PASSWORD)
        with pytest.raises(ConfigurationError, match=f":{own_redis.port} refuses the user name") as raised:
            await enter(RedisOptions(host="127.0.0.1", port=own_redis.port, password=password))
        assert str(password) not in str(raised.value)
        await enter(RedisOptions(host="127.0.0.1", port=own_redis.port, password=PASSWORD))
        await enter(RedisOptions(url=f"redis://:open%20sesame@127.0.0.1:{own_redis.port}/1"))
        client.config_set("requirepass", "")


@pytest.mark.parametrize(
    ("url", "says"),
    [("http://localhost", "malformed"), ("redis://{}/99", "out of range"), ("redis://{}?colour=red", "colour")],
)
async def test_other_mistakes_are_clear_errors(own_redis: Server, url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        await enter(RedisOptions(url=url.format(f"127.0.0.1:{own_redis.port}")))


@pytest.mark.parametrize(
    ("options", "where", "kind"),
    [
        (RedisOptions(ssl=True, host="redis.example"), "redis.example:6379", "SSLConnection"),
        (RedisOptions(url="rediss://redis.example:6380?ssl_cert_reqs=none"), "redis.example:6380", "SSLConnection"),
        (RedisOptions(url="unix:///run/redis.sock?db=2"), "/run/redis.sock", "UnixDomainSocketConnection"),
    ],
)
def test_tls_and_sockets_are_for_the_asking(options: RedisOptions, where: str, kind: str) -> None:
    assert options.where == where
    assert type(options.pool().make_connection()).__name__ == kind  # type: ignore[no-untyped-call] # theirs


def test_nobody_sees_a_password() -> None:
    options = RedisOptions(password=PASSWORD, url=f"redis://:{PASSWORD}@localhost:1234")
    assert PASSWORD not in repr(options)
    assert options.where == "localhost:1234"


def test_a_link_may_be_entered_once_per_event_loop(redis_url: str) -> None:
    process = Process(redis_url)

    async def live() -> None:
        lease = new_lease()
        async with process, process.streams.follow(lease.run.run_id, after=0) as reader:
            await process.streams.open(lease)
            await process.streams.append(lease, events("a"))
            assert numbers(await rest(reader, until=1)) == [1]

    for _ in range(2):
        asyncio.run(live())


async def test_everything_is_unavailable_at_once_when_redis_is_gone_and_works_when_it_is_back(
    own_redis: Server,
) -> None:
    async with Process(own_redis.url) as process:
        lease = new_lease()
        await process.streams.open(lease)
        own_redis.kill()
        begun = time.monotonic()
        await assert_unavailable(process)
        assert time.monotonic() - begun < 3
        own_redis.start()
        await process.link.ping()
        await process.streams.append(lease, events("a"))
        async with process.streams.follow(lease.run.run_id, after=0) as reader:
            assert numbers(await rest(reader, until=1)) == [1]


async def assert_unavailable(process: Process) -> None:
    lease = new_lease()
    with pytest.raises(UnavailableError):
        await process.link.ping()
    with pytest.raises(UnavailableError):
        await process.streams.open(lease)
    with pytest.raises(UnavailableError):
        await process.streams.append(lease, events("a"))
    with pytest.raises(UnavailableError):
        await process.streams.close(lease.run.run_id, DONE, keep=True)
    with pytest.raises(UnavailableError):
        async with process.streams.follow(lease.run.run_id, after=0):
            """Nothing to follow."""


async def test_a_health_probe_does_not_wait_for_long(own_redis: Server) -> None:
    async with Process(own_redis.url, timeout=PATIENCE) as process:
        own_redis.pause()
        begun = time.monotonic()
        with pytest.raises(UnavailableError):
            await process.link.ping()
        assert time.monotonic() - begun < PATIENCE / 2
        own_redis.resume()


async def test_a_redis_that_hangs_is_unavailable_after_the_timeout(own_redis: Server) -> None:
    async with Process(own_redis.url, timeout=0.2) as process:
        own_redis.pause()
        begun = time.monotonic()
        await assert_unavailable(process)
        assert time.monotonic() - begun < 6
        own_redis.resume()
        await process.link.ping()


@pytest.mark.parametrize(
    ("refuse", "accept"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    ],
    ids=["replica", "full"],
)
async def test_a_redis_that_takes_no_writes_is_unavailable(
    own_redis: Server, refuse: tuple[str, ...], accept: tuple[str, ...]
) -> None:
    async with Process(own_redis.url) as process:
        lease = new_lease()
        await say(process, lease, "a")
        with redis.Redis.from_url(own_redis.url) as client:
            client.execute_command(*refuse)
            with pytest.raises(UnavailableError):
                await process.streams.append(lease, events("b"))
            client.execute_command(*accept)
        await process.streams.append(lease, events("b"))
        async with process.streams.follow(lease.run.run_id, after=0) as reader:
            assert numbers(await rest(reader, until=2)) == [1, 2]


async def test_a_server_that_became_a_replica_is_left(own_redis: Server) -> None:
    async with Process(own_redis.url) as process:
        with redis.Redis.from_url(own_redis.url) as client:

            def writing() -> set[str]:
                return {one["id"] for one in client.client_list() if one["cmd"].startswith("eval")}

            await process.streams.open(new_lease())
            before = writing()
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(UnavailableError):
                await process.streams.open(new_lease())
            await until(lambda: not before & writing())


async def test_a_dropped_connection_is_made_again(own_redis: Server, start_proxy: StartProxy) -> None:
    proxy = start_proxy(own_redis.port)
    async with Process(f"redis://127.0.0.1:{proxy.port}/0") as process:
        lease = new_lease()
        for turn in range(1, 6):
            proxy.cut()
            await process.streams.open(lease)
            proxy.cut()
            await process.streams.append(lease, events("a"))
            proxy.cut()
            async with process.streams.follow(lease.run.run_id, after=0) as reader:
                assert numbers(await rest(reader, until=turn)) == list(range(1, turn + 1))


async def test_scripts_that_redis_forgot_are_sent_again(redis_url: str) -> None:
    async with Process(redis_url) as process:
        lease = new_lease()
        with redis.Redis.from_url(redis_url) as client:
            for turn in (1, 2):
                client.script_flush()
                await process.streams.open(lease)
                await process.streams.append(lease, events("a"))
                async with process.streams.follow(lease.run.run_id, after=0) as reader:
                    assert numbers(await rest(reader, until=turn))[-1] == turn


async def test_nothing_fails_for_want_of_a_connection(redis_url: str) -> None:
    async with Process(redis_url, max_connections=2) as process, asyncio.TaskGroup() as tasks:
        for _ in range(300):
            tasks.create_task(process.streams.open(new_lease()))


async def test_whoever_waits_for_a_connection_is_not_passed_by(redis_url: str) -> None:
    turns = 0

    async def be_greedy() -> None:
        nonlocal turns
        while True:
            await process.link.do("PING")
            turns += 1

    async with Process(redis_url, max_connections=1) as process, asyncio.TaskGroup() as tasks:
        greedy = [tasks.create_task(be_greedy()) for _ in range(10)]
        for _ in range(20):
            before = turns
            await process.link.do("PING")
            assert turns - before <= 2 * len(greedy)
        for task in greedy:
            task.cancel()


async def test_readers_need_no_connections_of_their_own(own_redis: Server) -> None:
    async with Process(own_redis.url, max_connections=4) as process, AsyncExitStack() as stack:
        leases = [new_lease() for _ in range(300)]
        readers = [
            await stack.enter_async_context(process.streams.follow(lease.run.run_id, after=0)) for lease in leases
        ]
        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(rest(reader, until=1)) for reader in readers]
            for lease in leases:
                tasks.create_task(say(process, lease, "a"))
        assert [numbers(task.result()) for task in found] == [[1]] * 300
        with redis.Redis.from_url(own_redis.url) as client:
            assert sum(one["name"] == "fast_graph" for one in client.client_list()) <= 4 + 1


async def test_channels_are_given_back(redis_url: str) -> None:
    prefix = new_id()  # a server's channels are those of all its databases
    async with Process(redis_url, key_prefix=prefix) as process:
        run_ids = [new_id() for _ in range(20)]

        async def come_and_go(run_id: str) -> None:
            for _ in range(5):
                async with process.streams.follow(run_id, after=0):
                    """Nothing comes."""

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            for run_id in run_ids * 3:
                tasks.create_task(come_and_go(run_id))
        with redis.Redis.from_url(redis_url) as client:
            await until(lambda: client.pubsub_channels(f"{prefix}:*") == [f"{prefix}:signals".encode()])
