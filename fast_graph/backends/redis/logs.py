"""Logs in Redis as typed functions: every key they touch, and every script they run, is here."""

from collections.abc import Sequence
from typing import NamedTuple

from fast_graph.backends.redis.link import RedisLink, Script
from fast_graph.backends.redis.wire import Batch, Names, unpack

OPEN_TTL = 2 * 86_400
"""Seconds that an open log outlives its last sign of life."""

CLOSED_TTL = 60
"""Seconds that readers elsewhere have to finish a log that is not kept."""

PAGE = 64
"""Batches that one call reads."""

# Every key has a time to live from its first moment. An entry's id is the number of its last event and when it was
# appended, so that a script need not look into batches. The fence is the token of the lease that may
# append, or "closed".

_OPEN = Script("""
local fence = redis.call('HGET', KEYS[2], 'fence')
if fence and (fence == 'closed' or tonumber(fence) > tonumber(ARGV[1])) then return false end
redis.call('HSET', KEYS[2], 'fence', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local sizes, start = {}, '-'
repeat
    local page = redis.call('XRANGE', KEYS[1], start, '+', 'COUNT', 64)
    for _, entry in ipairs(page) do
        sizes[#sizes + 1] = entry[1]
        sizes[#sizes + 1] = #entry[2][2]
        start = '(' .. entry[1]
    end
until #page < 64
return sizes
""")

_APPEND = Script("""
local fence = redis.call('HGET', KEYS[2], 'fence')
if fence ~= ARGV[1] then return fence end
if ARGV[6] == '' then
    -- A log that is gone is not begun anew without a time to live.
    if not redis.call('XADD', KEYS[1], 'NOMKSTREAM', 'MINID', ARGV[4], ARGV[2], 'b', ARGV[3]) then return false end
else
    redis.call('XADD', KEYS[1], 'MINID', ARGV[4], ARGV[2], 'b', ARGV[3])
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
redis.call('PUBLISH', ARGV[5], ARGV[3])
return fence
""")

_LOOK = Script("""
local meta = redis.call('HMGET', KEYS[2], 'fence', 'kept', 'last')
if meta[1] == 'closed' then return {meta[3], meta[2]} end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
return {newest and newest[1] or '0'}
""")

_CLOSE = Script("""
if redis.call('HGET', KEYS[2], 'fence') == 'closed' then return false end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local last = newest and newest[1]:match('%d+') or '0'
redis.call('HSET', KEYS[2], 'fence', 'closed', 'kept', ARGV[2], 'last', last, 'result', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], 'e' .. last .. ' ' .. ARGV[1])
return last
""")


class Entry(NamedTuple):
    """A batch as ``open`` finds it."""

    last: int
    ms: int
    size: int


class Glance(NamedTuple):
    """How a log stands."""

    last: int
    """The number of its last event; 0 if there is none."""
    closed: bool
    kept: bool
    """Whether it may be read again after its end."""


class Logs:
    """The logs of all runs. Everything raises UnavailableError."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    def names(self, run_id: str) -> Names:
        return Names.of(run_id, self._link.prefix)

    async def open(self, run_id: str, token: int) -> Sequence[Entry] | None:
        """Raise the fence to ``token``, and tell what is kept; None if the log is closed or the token too old."""
        names = self.names(run_id)
        found = await self._link.call(_OPEN, (names.log, names.meta), token, OPEN_TTL * 1000)
        if found is None:
            return None
        ids = (map(int, bytes(entry).split(b"-")) for entry in found[::2])
        return [Entry(last, ms, size) for (last, ms), size in zip(ids, found[1::2], strict=True)]

    async def append(
        self, run_id: str, token: int, batch: Batch, packed: bytes, *, keep_from: int, renew: bool
    ) -> bool | None:
        """Add a batch and publish it; events before ``keep_from`` may go. Once only: it may have been done after all.

        False if the fence is another, None if there is no log: it was never opened, or Redis has lost it. With
        ``renew`` its time to live begins anew, and a log without events is begun.
        """
        names = self.names(run_id)
        ttl = OPEN_TTL * 1000 if renew else ""
        fence = await self._link.once(
            _APPEND, (names.log, names.meta), token, batch.entry, packed, keep_from, names.news, ttl
        )
        return None if fence is None else bytes(fence) == b"%d" % token

    async def look(self, run_id: str) -> Glance:
        names = self.names(run_id)
        last, *kept = await self._link.call(_LOOK, (names.log, names.meta))
        return Glance(int(last.partition(b"-")[0]), closed=bool(kept), kept=kept == [b"1"])

    async def read(self, run_id: str, after: int) -> Sequence[Batch]:
        """The first batches with events after that number."""
        found = await self._link.do("XRANGE", self.names(run_id).log, after + 1, "+", "COUNT", PAGE)
        return [unpack(fields[b"b"]) for _, fields in found]

    async def close(self, run_id: str, result: bytes, *, keep_for: float) -> int | None:
        """End the log and publish it; the number of its last event, or None if it had ended before."""
        names = self.names(run_id)
        kept, ttl = int(keep_for > 0), max(keep_for, CLOSED_TTL)
        last = await self._link.call(_CLOSE, (names.log, names.meta), result, kept, int(ttl * 1000), names.news)
        return None if last is None else int(last)

    async def result(self, run_id: str) -> bytes | None:
        """What a closed log was given as its result, while that is kept."""
        found: bytes | None = await self._link.do("HGET", self.names(run_id).meta, "result")
        return found
