"""What the stream log on Redis does beyond its port: how little it asks of Redis, and what it survives."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis

from fast_graph.backends.redis.link import RedisLink, Script
from fast_graph.backends.redis.logs import CLOSED_TTL, OPEN_TTL, PAGE
from fast_graph.backends.redis.pipe import Argument
from fast_graph.backends.redis.streams import StreamBounds
from fast_graph.backends.redis.topic import MOST_BYTES
from fast_graph.model.errors import LeaseLostError, StreamTruncatedError, UnavailableError
from fast_graph.model.records import Event
from fast_graph.testing.rows import new_id
from tests.services.plugin import StartProxy
from tests.services.processes import Server
from tests.unit.backends.redis.processes import (
    DONE,
    NOW,
    PATIENCE,
    Process,
    events,
    new_lease,
    numbers,
    rest,
    say,
    times_to_live,
)

SILENCE = 0.01


@pytest.fixture
async def one(redis_url: str) -> AsyncIterator[Process]:
    async with Process(redis_url) as process:
        yield process


@pytest.fixture
async def two(redis_url: str) -> AsyncIterator[Process]:
    async with Process(redis_url) as process:
        yield process


# ---------------------------------------------------------------- what it costs


def calls(url: str) -> int:
    """How many commands Redis has executed, those in scripts included, without what connections say of themselves."""
    with redis.Redis.from_url(url) as client:
        stats = client.info("commandstats")
    own = ("info", "client", "hello", "select", "config", "auth", "ping")
    return sum(one["calls"] for name, one in stats.items() if not name.split("_")[1].startswith(own))


async def test_an_append_is_four_commands(own_redis: Server) -> None:
    async with Process(own_redis.url) as process:
        lease = new_lease()
        async with process.streams.follow(lease.run.run_id, after=0) as reader:
            await say(process, lease, "begins")
            before = calls(own_redis.url)
            for _ in range(50):
                await process.streams.append(lease, events(*"abcdefghijklmn"))
            assert calls(own_redis.url) - before == 50 * 4
            assert numbers(await rest(reader, until=701)) == list(range(1, 702))


async def test_a_new_reader_looks_once(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        lease = new_lease()
        await say(one, lease, "begins")
        before = calls(own_redis.url)
        async with two.streams.follow(lease.run.run_id, after=None) as reader:
            await one.streams.append(lease, events("a"))
            assert numbers(await rest(reader, until=1)) == [2]
        subscribing, looking, appending = 1, 3, 4
        assert calls(own_redis.url) - before <= subscribing + looking + appending + subscribing


async def test_every_key_has_a_time_to_live(redis_url: str, one: Process) -> None:
    lease = new_lease()
    names = [f"fast_graph:{{{lease.run.run_id}}}:{part}".encode() for part in ("log", "meta")]
    await one.streams.open(lease)
    assert_lives(redis_url, names[1:], OPEN_TTL)
    await one.streams.append(lease, events("a"))
    assert_lives(redis_url, names, OPEN_TTL)
    await one.streams.append(lease, events("b"))
    await one.streams.open(replace(lease, token=2))
    assert_lives(redis_url, names, OPEN_TTL)
    await one.streams.close(lease.run.run_id, DONE, keep=True)
    assert_lives(redis_url, names, StreamBounds().stream_ttl)


@pytest.mark.parametrize("keep", [True, False])
async def test_the_keys_of_a_log_that_never_was_go_too(redis_url: str, one: Process, keep: bool) -> None:
    run_id = new_id()
    await one.streams.close(run_id, DONE, keep=keep)
    ttl = StreamBounds().stream_ttl if keep else CLOSED_TTL
    assert_lives(redis_url, [f"fast_graph:{{{run_id}}}:meta".encode()], ttl)


def assert_lives(url: str, names: Sequence[bytes], seconds: float) -> None:
    found = times_to_live(url)
    assert sorted(found) == sorted(names)
    assert all(seconds * 1000 - 60_000 < left <= seconds * 1000 for left in found.values())


@pytest.mark.parametrize("part", ["log", "meta"])
async def test_a_key_that_was_evicted_comes_back_with_a_time_to_live(redis_url: str, one: Process, part: str) -> None:
    lease = new_lease()
    async with one.streams.follow(lease.run.run_id, after=0) as reader:
        await say(one, lease, "a", "b")
        with redis.Redis.from_url(redis_url) as client:
            client.delete(f"fast_graph:{{{lease.run.run_id}}}:{part}")
        await one.streams.append(lease, events("c"))
        assert numbers(await rest(reader, until=3)) == [1, 2, 3]
    left = times_to_live(redis_url)
    assert len(left) == 2
    assert -1 not in left.values()


# ---------------------------------------------------------------- readers


async def test_a_log_of_many_pages_is_replayed_in_order(one: Process, two: Process) -> None:
    lease = new_lease()
    count = PAGE * 3 + 5
    await say(one, lease, *("x" for _ in range(count)))
    async with two.streams.follow(lease.run.run_id, after=0) as reader:
        assert numbers(await rest(reader, until=count)) == list(range(1, count + 1))


async def test_a_reader_may_resume_within_a_batch(one: Process, two: Process) -> None:
    lease = new_lease()
    await one.streams.open(lease)
    await one.streams.append(lease, events(*"abcde"))
    for process in (one, two):
        async with process.streams.follow(lease.run.run_id, after=2) as reader:
            await one.streams.append(lease, events("f"))
            found = await rest(reader, until=4)
            assert [record.name for record in found][:4] == list("cdef")[: len(found)]


async def test_a_slow_reader_reads_from_redis_what_is_no_longer_held_here(one: Process) -> None:
    lease = new_lease()
    large = Event("x", b'"' + b"x" * (MOST_BYTES // 10) + b'"')
    async with one.streams.follow(lease.run.run_id, after=0) as reader:
        await one.streams.open(lease)
        for _ in range(30):
            await one.streams.append(lease, [large])
        await one.streams.close(lease.run.run_id, DONE, keep=False)
        assert numbers(await rest(reader, until=30)) == list(range(1, 31))
        assert await reader.batch(idle=PATIENCE) is None


@pytest.mark.parametrize(
    ("command", "says"),
    [("XTRIM {} MAXLEN 5", "Events 1 to 25"), ("XDEL {} 3-{}", "Events 3 to 3"), ("DEL {}", "Events 1 to 30")],
)
async def test_a_slow_reader_is_told_when_what_it_has_not_seen_is_gone(
    redis_url: str, one: Process, command: str, says: str
) -> None:
    lease = new_lease()
    large = Event("x", b'"' + b"x" * (MOST_BYTES // 10) + b'"')
    async with one.streams.follow(lease.run.run_id, after=0) as reader:
        await one.streams.open(lease)
        for _ in range(30):
            await one.streams.append(lease, [large])
        await one.streams.close(lease.run.run_id, DONE, keep=False)
        with redis.Redis.from_url(redis_url) as client:
            log, ms = f"fast_graph:{{{lease.run.run_id}}}:log", int(NOW.timestamp() * 1000)
            client.execute_command(*command.format(log, ms).split())
        with pytest.raises(StreamTruncatedError, match=says):
            await rest(reader, until=30)


async def test_who_comes_after_the_end_of_a_log_that_is_not_kept_sees_nothing_of_it(one: Process, two: Process) -> None:
    lease = new_lease()
    async with two.streams.follow(lease.run.run_id, after=0) as early:
        await say(one, lease, "a", "b")
        await one.streams.close(lease.run.run_id, DONE, keep=False)
        for process in (one, two):
            for after in (0, 1, None):
                async with process.streams.follow(lease.run.run_id, after=after) as late:
                    assert not await late.batch(idle=SILENCE)
        assert numbers(await rest(early, until=2)) == [1, 2]
        assert await early.batch(idle=PATIENCE) is None


async def test_a_reader_learns_of_what_was_said_while_its_process_heard_nothing(
    redis_url: str, one: Process, two: Process
) -> None:
    lease = new_lease()
    count = 200
    async with two.streams.follow(lease.run.run_id, after=0) as reader:
        await one.streams.open(lease)
        with redis.Redis.from_url(redis_url) as client:

            async def write() -> None:
                for number in range(count):
                    if number % 20 == 10:
                        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                    await one.streams.append(lease, events(str(number)))
                await one.streams.close(lease.run.run_id, DONE, keep=False)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(write())
                found = await rest(reader, until=count)
        assert numbers(found) == list(range(1, count + 1))
        assert await reader.batch(idle=PATIENCE) is None
        assert await reader.result(idle=PATIENCE) == DONE


async def test_a_message_that_was_lost_is_found_in_the_silence(one: Process, two: Process) -> None:
    lease = new_lease()
    await say(one, lease, "a")
    async with two.streams.follow(lease.run.run_id, after=0) as reader:
        assert numbers(await rest(reader, until=1)) == [1]
        two.link.subscriptions.leave(f"fast_graph:{{{lease.run.run_id}}}:news".encode())
        await one.streams.append(lease, events("b"))
        assert numbers(await reader.batch(idle=0) or ()) == [2]
        assert await reader.result(idle=0) is None
        await one.streams.close(lease.run.run_id, DONE, keep=False)
        assert await reader.result(idle=0) == DONE
        assert await reader.batch(idle=0) is None
        two.link.subscriptions.join(f"fast_graph:{{{lease.run.run_id}}}:news".encode(), two.signals)


async def test_an_end_that_was_not_heard_is_seen_once_the_connection_is_back(
    own_redis: Server, start_proxy: StartProxy
) -> None:
    proxy = start_proxy(own_redis.port)
    async with Process(own_redis.url) as one, Process(f"redis://127.0.0.1:{proxy.port}/0") as two:
        for keep in (True, False):
            lease = new_lease()
            await say(one, lease, "a")
            async with two.streams.follow(lease.run.run_id, after=None) as reader, asyncio.timeout(PATIENCE):
                with proxy.refusing():
                    await one.streams.close(lease.run.run_id, DONE, keep=keep)
                assert await reader.result(idle=10 * PATIENCE) == DONE


async def test_readers_beside_the_writer_do_not_wait_for_redis_to_tell_them(one: Process) -> None:
    lease = new_lease()
    channel = f"fast_graph:{{{lease.run.run_id}}}:news".encode()
    async with one.streams.follow(lease.run.run_id, after=0) as reader, asyncio.timeout(PATIENCE):
        one.link.subscriptions.leave(channel)
        await say(one, lease, "a")
        assert numbers(await reader.batch(idle=10 * PATIENCE) or ()) == [1]
        await one.streams.close(lease.run.run_id, DONE, keep=False)
        assert await reader.batch(idle=10 * PATIENCE) is None
        one.link.subscriptions.join(channel, one.signals)


async def test_an_outage_is_silence_to_readers(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        lease = new_lease()
        await say(one, lease, "a")
        async with two.streams.follow(lease.run.run_id, after=0) as reader:
            assert numbers(await rest(reader, until=1)) == [1]
            own_redis.kill()
            assert await reader.batch(idle=SILENCE) == ()
            assert await reader.result(idle=SILENCE) is None
            own_redis.start()
            await one.streams.append(lease, events("b"))
            assert numbers(await rest(reader, until=1)) == [2]


# ---------------------------------------------------------------- writers


async def test_a_stale_holder_elsewhere_can_write_nothing(one: Process, two: Process) -> None:
    first = new_lease()
    await say(one, first, "a")
    second = replace(first, token=2)
    await say(two, second, "b")
    for _ in range(2):
        with pytest.raises(LeaseLostError):
            await one.streams.append(first, events("stale"))
    with pytest.raises(LeaseLostError):
        await one.streams.open(first)
    async with one.streams.follow(first.run.run_id, after=0) as reader:
        assert [record.name for record in await rest(reader, until=2)] == ["a", "b"]


async def test_tokens_are_numbers(one: Process, two: Process) -> None:
    lease = new_lease(9)
    await say(one, lease, "a")
    await say(two, replace(lease, token=10), "b")
    with pytest.raises(LeaseLostError):
        await one.streams.open(lease)


async def test_numbering_goes_on_after_a_long_log(one: Process, two: Process) -> None:
    lease = new_lease()
    await say(one, lease, *("x" for _ in range(150)))
    async with two.streams.follow(lease.run.run_id, after=None) as reader:
        await say(two, replace(lease, token=2), "y")
        assert numbers(await rest(reader, until=1)) == [151]


async def test_a_log_that_was_closed_elsewhere_takes_no_more_and_stays_closed(one: Process, two: Process) -> None:
    lease = new_lease()
    await say(one, lease, "a")
    await two.streams.close(lease.run.run_id, DONE, keep=True)
    with pytest.raises(LeaseLostError):
        await one.streams.append(lease, events("late"))
    with pytest.raises(LeaseLostError):
        await one.streams.open(replace(lease, token=2))


async def test_appends_at_the_same_time_are_numbered_one_after_the_other(one: Process) -> None:
    lease = new_lease()
    await one.streams.open(lease)
    async with one.streams.follow(lease.run.run_id, after=0) as reader:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(50):
                tasks.create_task(one.streams.append(lease, events("a", "b")))
        assert numbers(await rest(reader, until=100)) == list(range(1, 101))


async def test_the_bound_holds_for_what_an_earlier_holder_wrote(redis_url: str) -> None:
    bounds = StreamBounds(stream_bytes=2000)
    async with Process(redis_url, bounds=bounds) as one, Process(redis_url, bounds=bounds) as two:
        lease = new_lease()
        large = Event("x", b'"' + b"x" * 200 + b'"')
        for token in range(1, 6):
            process = one if token % 2 else two
            await process.streams.open(replace(lease, token=token))
            for _ in range(4):
                await process.streams.append(replace(lease, token=token), [large])
        async with one.streams.follow(lease.run.run_id, after=0) as reader:
            kept = numbers(await reader.batch(idle=PATIENCE) or ())
        assert 5 <= len(kept) <= 9
        assert kept[-1] == 20


class Forgetful(RedisLink):
    """Does what it is told, and then says that it does not know: as often as ``lapses`` says."""

    lapses = 0

    async def once(self, script: Script, keys: Sequence[str], *args: Argument) -> Any:
        answer = await super().once(script, keys, *args)
        if self.lapses:
            self.lapses -= 1
            raise UnavailableError("the answer was lost")
        return answer


class Deaf(Forgetful):
    """Forgets, and cannot ask again either."""

    async def call(self, script: Script, keys: Sequence[str], *args: Argument) -> Any:
        if self.lapses:
            self.lapses -= 1
            raise UnavailableError("no answer")
        return await super().call(script, keys, *args)


async def test_what_was_stored_although_the_answer_was_lost_is_there_once(redis_url: str, two: Process) -> None:
    async with Process(redis_url, link=Forgetful) as one, Process(redis_url) as two:
        lease = new_lease()
        async with two.streams.follow(lease.run.run_id, after=0) as reader:
            await say(one, lease, "a")
            assert isinstance(one.link, Forgetful)
            one.link.lapses = 1
            await one.streams.append(lease, events("b", "c"))
            await one.streams.append(lease, events("d"))
            await one.streams.close(lease.run.run_id, DONE, keep=False)
            assert [(r.seq, r.name) for r in await rest(reader, until=4)] == [*enumerate("abcd", 1)]
            assert await reader.batch(idle=PATIENCE) is None


@pytest.mark.parametrize("again", [True, False])
async def test_whoever_appends_the_same_again_after_an_outage_appends_it_once(
    redis_url: str, two: Process, again: bool
) -> None:
    async with Process(redis_url, link=Deaf) as one:
        lease = new_lease()
        async with (
            one.streams.follow(lease.run.run_id, after=0) as near,
            two.streams.follow(lease.run.run_id, after=0) as far,
        ):
            await say(one, lease, "a")
            assert isinstance(one.link, Deaf)
            one.link.lapses = 2
            with pytest.raises(UnavailableError):
                await one.streams.append(lease, events("b", "c"))
            if again:
                await one.streams.append(lease, events("b", "c"))
            await one.streams.append(lease, events("d"))
            for reader in (near, far):
                assert [(r.seq, r.name) for r in await rest(reader, until=4)] == [*enumerate("abcd", 1)]
                assert await reader.batch(idle=SILENCE) == ()


# ---------------------------------------------------------------- a Redis that comes back empty


def restart_empty(server: Server) -> None:
    server.kill()
    for path in server.place.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.dbsize() == 0


async def test_a_run_goes_on_when_redis_has_lost_its_log(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        lease = new_lease()
        run_id = lease.run.run_id
        async with one.streams.follow(run_id, after=0) as near, two.streams.follow(run_id, after=0) as far:
            await say(one, lease, "a", "b", "c")
            for reader in (near, far):
                assert numbers(await rest(reader, until=3)) == [1, 2, 3]
            restart_empty(own_redis)
            await one.streams.append(lease, events("d", "e"))
            await one.streams.append(lease, events("f"))
            for reader in (near, far):
                assert numbers(await rest(reader, until=3)) == [4, 5, 6]
            async with Process(own_redis.url) as late:
                await assert_begins_with(late, run_id, kept=[4, 5, 6], lost_after=1)
            assert -1 not in times_to_live(own_redis.url).values()
            await one.streams.close(run_id, DONE, keep=True)
            for reader in (near, far):
                assert await reader.batch(idle=PATIENCE) is None


async def assert_begins_with(process: Process, run_id: str, *, kept: list[int], lost_after: int) -> None:
    async with process.streams.follow(run_id, after=0) as reader:
        assert numbers(await rest(reader, until=len(kept))) == kept
    async with process.streams.follow(run_id, after=lost_after) as reader:
        with pytest.raises(StreamTruncatedError):
            await reader.batch(idle=PATIENCE)


async def test_a_newer_holder_of_a_lost_log_is_not_undone(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        first = new_lease()
        await say(one, first, "a")
        restart_empty(own_redis)
        await say(two, replace(first, token=2), "b")
        with pytest.raises(LeaseLostError):
            await one.streams.append(first, events("stale"))


async def test_no_number_is_used_twice_although_the_log_was_lost_and_its_holder_too(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        first = new_lease()
        run_id = first.run.run_id
        async with two.streams.follow(run_id, after=0) as reader:
            await say(one, first, "a", "b")
            assert numbers(await rest(reader, until=2)) == [1, 2]
            restart_empty(own_redis)
            await say(two, replace(first, token=2), "c", "d")
            with pytest.raises(StreamTruncatedError):
                await rest(reader, until=2)
        async with one.streams.follow(run_id, after=0) as reader:
            assert [record.name for record in await rest(reader, until=2)] == ["c", "d"]


async def test_who_has_seen_nothing_of_a_lost_log_begins_with_the_next_attempt(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        first = new_lease()
        await say(one, first, "a", "b")
        restart_empty(own_redis)
        async with two.streams.follow(first.run.run_id, after=0) as reader:
            await say(one, replace(first, token=2), "c", "d")
            assert [record.name for record in await rest(reader, until=2)] == ["c", "d"]


async def test_a_lost_log_can_be_closed(own_redis: Server) -> None:
    async with Process(own_redis.url) as one, Process(own_redis.url) as two:
        lease = new_lease()
        async with two.streams.follow(lease.run.run_id, after=0) as reader:
            await say(one, lease, "a")
            assert numbers(await rest(reader, until=1)) == [1]
            restart_empty(own_redis)
            await one.streams.close(lease.run.run_id, DONE, keep=False)
            assert await reader.result(idle=PATIENCE) == DONE
            assert await reader.batch(idle=PATIENCE) is None
