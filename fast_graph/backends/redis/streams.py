"""The StreamLog port on Redis: a Redis Stream per run to replay, and one subscription per process to follow."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise

from fast_graph.backends.redis.link import RedisLink
from fast_graph.backends.redis.logs import Glance, Logs
from fast_graph.backends.redis.topic import Topic
from fast_graph.backends.redis.wire import Batch
from fast_graph.backends.redis.writer import Writer, begins_an_attempt
from fast_graph.model.clock import Clock
from fast_graph.model.errors import LeaseLostError, StreamTruncatedError, UnavailableError
from fast_graph.model.records import Event, Lease, Record

TRIES = 3
"""How often one append is tried while Redis answers in between."""

MOST_WRITERS = 4096
"""Open logs whose place is remembered; whoever falls out of the memory asks Redis again."""


@dataclass(frozen=True, kw_only=True)
class StreamBounds:
    """How much is kept, and for how long."""

    stream_bytes: int = 64 * 1024 * 1024
    """What one log may weigh; the oldest events go."""
    stream_ttl: float = 120.0
    """Seconds that a log that is kept can be read after its end; a minute at least, unless 0."""


NOTHING = Glance(0, closed=False, kept=False)
"""How a log stands that was never opened."""


class RedisReader:
    """A reader of one run. Knows the number of the last record it was given, and no more.

    It takes from the topic what it can, and reads from Redis what the topic has not or no more. Without Redis there is
    silence.
    """

    def __init__(self, run_id: str, after: int, *, topic: Topic, logs: Logs, anywhere: bool) -> None:
        self._run_id, self._after = run_id, after
        self._topic, self._logs = topic, logs
        self._anywhere = anywhere
        """Whether the first record may be any: the first that is kept was asked for."""

    async def batch(self, *, idle: float) -> Sequence[Record] | None:
        deadline, silent = asyncio.get_running_loop().time() + idle, False
        while True:
            if found := await self._next():
                self._after = found[-1].seq
                return found
            if self._topic.is_over(self._after):
                return None
            if silent:
                return ()
            silent = not await self._news(deadline)

    async def result(self, *, idle: float) -> bytes | None:
        deadline, silent = asyncio.get_running_loop().time() + idle, False
        while True:
            if (result := await self._result()) is not None:
                return result
            if silent:
                return None
            silent = not await self._news(deadline)

    async def _news(self, deadline: float) -> bool:
        """Wait for something to look at. If nothing comes, look into Redis: its message may have been lost."""
        if await self._topic.change(deadline - asyncio.get_running_loop().time()):
            return True
        await self._look()
        return False

    async def _next(self) -> Sequence[Record]:
        if found := self._topic.after(self._after):
            return self._checked(found)
        if self._topic.stale:
            await self._look()
        if self._topic.last_seq <= self._after:
            return ()
        return self._topic.after(self._after) or await self._stored()

    async def _stored(self) -> Sequence[Record]:
        """The next records from Redis; nothing if it cannot be reached."""
        try:
            batches = await self._logs.read(self._run_id, self._after)
        except UnavailableError:
            return ()
        found = [record for batch in _contiguous(batches) for record in batch.records() if record.seq > self._after]
        if not found:
            raise self._truncated(self._topic.last_seq)
        return self._checked(found)

    def _checked(self, found: Sequence[Record]) -> Sequence[Record]:
        first = found[0].seq
        welcome = self._after == 0 and (self._anywhere or begins_an_attempt(first))
        if first > self._after + 1 and not welcome:
            raise self._truncated(first - 1)
        return found

    def _truncated(self, last: int) -> StreamTruncatedError:
        return StreamTruncatedError(f"Events {self._after + 1} to {last} of run {self._run_id} are no longer kept")

    async def _result(self) -> bytes | None:
        if self._topic.stale:
            await self._look()
        if self._topic.closed and self._topic.result is None:
            with suppress(UnavailableError):
                return await self._logs.result(self._run_id)
        return self._topic.result

    async def _look(self) -> None:
        with suppress(UnavailableError):
            await look(self._topic, self._logs, self._run_id)


class RedisStreams:
    """The StreamLog port. Lives as long as its link."""

    def __init__(self, link: RedisLink, clock: Clock, bounds: StreamBounds) -> None:
        self._subscriptions = link.subscriptions
        self._logs = Logs(link)
        self._clock = clock
        self._bounds = bounds
        self._topics: dict[str, Topic] = {}
        self._writers: OrderedDict[str, Writer] = OrderedDict()

    async def open(self, lease: Lease) -> None:
        writer = self._writer(lease)
        async with writer.turn:
            await self._sync(lease, writer)

    async def append(self, lease: Lease, events: Sequence[Event]) -> None:
        """As the port says. After UnavailableError the same events may be appended again: they are stored once."""
        if not events:
            return
        writer = self._writer(lease)
        async with writer.turn:
            batch, size = await self._store(lease, writer, tuple(events))
        if topic := self._topics.get(lease.run.run_id):
            topic.add(batch.records(), size)

    @asynccontextmanager
    async def follow(self, run_id: str, *, after: int | None, fresh: bool = False) -> AsyncIterator[RedisReader]:
        async with self._topic(run_id) as topic:
            glance = _nothing_yet(topic) if fresh else await look(topic, self._logs, run_id)
            anywhere = after == 0 and glance.last > 0
            yield RedisReader(run_id, _start(glance, after), topic=topic, logs=self._logs, anywhere=anywhere)

    async def close(self, run_id: str, result: bytes, *, keep: bool) -> None:
        self._writers.pop(run_id, None)
        last = await self._logs.close(run_id, result, keep_for=self._bounds.stream_ttl if keep else 0)
        topic = self._topics.get(run_id)
        if last is not None and topic is not None:
            topic.ended(last, result)

    # ---------------------------------------------------------------- writing

    def _writer(self, lease: Lease) -> Writer:
        """Its place in the log; a new one has to be synced before it is used."""
        writer = self._writers.get(lease.run.run_id)
        if writer is None or writer.token != lease.token:
            return Writer(lease.token, most_bytes=self._bounds.stream_bytes)
        return writer

    async def _sync(self, lease: Lease, writer: Writer) -> None:
        run_id = lease.run.run_id
        entries = await self._logs.open(run_id, lease.token)
        if entries is None:
            raise self._lost(lease)
        writer.sync(entries)
        self._writers[run_id] = writer
        self._writers.move_to_end(run_id)
        if len(self._writers) > MOST_WRITERS:
            self._writers.popitem(last=False)

    async def _store(self, lease: Lease, writer: Writer, events: Sequence[Event]) -> tuple[Batch, int]:
        """Append once, whatever happens to the connection or to what Redis has kept; the batch and its size."""
        ms = int(self._clock().timestamp() * 1000)
        for _ in range(TRIES):
            if not writer.synced:
                await self._sync(lease, writer)
            batch = writer.batch(events, ms)
            packed = batch.pack()
            if await self._is_stored(lease, writer, batch, packed):
                return batch, len(packed)
        raise UnavailableError("The stream server does not keep what it is given")

    async def _is_stored(self, lease: Lease, writer: Writer, batch: Batch, packed: bytes) -> bool:
        """Append a batch unless it is there already; False if that is unknown, or Redis has lost the log."""
        now = asyncio.get_running_loop().time()
        if writer.has(batch):
            writer.sent(batch, now, renewed=False)
            return True
        keep_from, renew = writer.send(batch, len(packed), now)
        try:
            passed = await self._logs.append(
                lease.run.run_id, lease.token, batch, packed, keep_from=keep_from, renew=renew
            )
        except UnavailableError:
            return False  # the next look at the log tells whether it was stored, or raises
        if passed is False:
            raise self._lost(lease)
        if passed:
            writer.sent(batch, now, renewed=renew)
        return bool(passed)

    def _lost(self, lease: Lease) -> LeaseLostError:
        run_id, writer = lease.run.run_id, self._writers.get(lease.run.run_id)
        if writer is not None and writer.token == lease.token:
            del self._writers[run_id]
        return LeaseLostError(f"The stream of run {run_id} is closed to {lease.worker}")

    # ---------------------------------------------------------------- reading

    @asynccontextmanager
    async def _topic(self, run_id: str) -> AsyncIterator[Topic]:
        """The topic that all readers of a run share, subscribed to while there are any."""
        channel = self._logs.names(run_id).news
        topic = self._topics.get(run_id)
        if topic is None:
            topic = self._topics[run_id] = Topic()
            self._subscriptions.join(channel, topic)
        topic.readers += 1
        try:
            await self._subscriptions.settled(channel)
            yield topic
        finally:
            topic.readers -= 1
            if not topic.readers:
                del self._topics[run_id]
                self._subscriptions.leave(channel)


def _nothing_yet(topic: Topic) -> Glance:
    """What a look would show at a log that nobody can have opened yet."""
    topic.looking()
    return NOTHING


async def look(topic: Topic, logs: Logs, run_id: str) -> Glance:
    """See in Redis how a log stands, for all its readers here. Raises UnavailableError."""
    topic.looking()
    try:
        glance = await logs.look(run_id)
    except BaseException:
        topic.missed()
        raise
    topic.seen(glance)
    return glance


def _start(glance: Glance, after: int | None) -> int:
    """The number after which a reader begins: from now on, or where it left off; a log that is not kept is over."""
    if after is None or (glance.closed and not glance.kept):
        return glance.last
    return after


def _contiguous(batches: Sequence[Batch]) -> Sequence[Batch]:
    """As far as nothing is missing between them."""
    for place, (one, two) in enumerate(pairwise(batches), 1):
        if two.first != one.last + 1:
            return batches[:place]
    return batches
