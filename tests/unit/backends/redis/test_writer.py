"""Numbers and cuts."""

from hypothesis import given
from hypothesis import strategies as st

from fast_graph.backends.redis.logs import OPEN_TTL, Entry
from fast_graph.backends.redis.wire import Batch, Names, last_of, unpack
from fast_graph.backends.redis.writer import ATTEMPT, GRAINS, Weights, Writer, begins_an_attempt
from fast_graph.model.records import Event, Record

MOST = 1000


@given(st.lists(st.integers(1, 400), min_size=1, max_size=200))
def test_what_is_kept_fits_and_nothing_is_dropped_for_no_reason(sizes: list[int]) -> None:
    weights = Weights(MOST)
    for last, size in enumerate(sizes, 1):
        weights.add(last, size)
        kept = sizes[max(weights.cut() - 1, 0) : last]
        assert sum(kept) <= MOST
        assert sum(kept) == sum(sizes[:last]) or sum(kept) > MOST - 400 - MOST // 64


def test_the_newest_batch_stays_however_large() -> None:
    weights = Weights(MOST)
    for last in (1, 2):
        weights.add(last, 10 * MOST)
    assert weights.cut() == 2


def test_small_batches_are_counted_together() -> None:
    weights = Weights(MOST)
    for last in range(1, 10 * MOST + 1):
        weights.add(last, 1)
        weights.cut()
    assert len(weights) <= 2 * GRAINS


def event(name: str) -> Event:
    return Event(name, b"1")


def opened(token: int = 1, *entries: Entry) -> Writer:
    writer = Writer(token, most_bytes=MOST)
    writer.sync(entries)
    return writer


def test_numbers_follow_on_and_times_never_fall() -> None:
    writer = opened(2, Entry(3, 500, 10), Entry(7, 600, 10))
    batch = writer.batch([event("a"), event("b")], 550)
    assert (batch.first, batch.last, batch.ms) == (8, 9, 600)
    writer.send(batch, 10, now=0)
    writer.sent(batch, 0, renewed=True)
    assert writer.batch([event("c")], 700)[:2] == (10, 700)


def test_the_first_attempt_begins_at_one_and_a_later_one_far_from_what_was_lost() -> None:
    assert opened(1).batch([event("a")], 1).first == 1
    first = opened(3).batch([event("a")], 1).first
    assert first == 2 * ATTEMPT + 1
    assert begins_an_attempt(first)
    assert begins_an_attempt(1)
    assert not begins_an_attempt(first + 1)


def test_a_writer_does_not_number_again_what_redis_has_lost() -> None:
    writer = opened(1, Entry(7, 600, 10))
    for left in ([Entry(5, 500, 10)], []):
        writer.sync(left)
        assert writer.last == 7


def test_a_batch_in_doubt_keeps_its_numbers_if_it_is_appended_again() -> None:
    writer = opened()
    batch = writer.batch([event("a"), event("b")], 5)
    writer.send(batch, 10, now=0)
    assert not writer.synced
    writer.sync([])
    assert writer.batch([event("a"), event("b")], 9) is batch
    assert not writer.has(batch)
    writer.sync([Entry(2, 5, 10)])
    assert writer.has(batch)
    assert writer.batch([event("c")], 9).first == 3


def test_the_time_to_live_begins_anew_when_half_of_it_is_over() -> None:
    writer = opened()
    renewed = []
    for now in (0, 1, OPEN_TTL / 2 - 1, OPEN_TTL / 2, OPEN_TTL / 2 + 1):
        batch = writer.batch([event("a")], 1)
        _, renew = writer.send(batch, 10, now)
        writer.sent(batch, now, renewed=renew)
        renewed.append(renew)
    assert renewed == [True, False, False, True, False]


@given(
    st.integers(1, 2**53), st.integers(0, 2**53), st.lists(st.tuples(st.text(), st.binary()), min_size=1, max_size=20)
)
def test_a_batch_is_unpacked_as_it_was_packed(first: int, ms: int, parts: list[tuple[str, bytes]]) -> None:
    batch = Batch(first, ms, [Event(*part) for part in parts])
    packed = batch.pack()
    assert unpack(packed) == batch
    assert last_of(packed) == batch.last
    assert batch.records()[-1] == Record(batch.last, ms, *parts[-1])


def test_the_keys_of_a_run_are_on_one_node_of_a_cluster() -> None:
    assert Names.of("run", "app") == ("app:{run}:log", "app:{run}:meta", b"app:{run}:news")
