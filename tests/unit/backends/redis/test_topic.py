"""What the readers of a run share."""

import pytest

from fast_graph.backends.redis.logs import Glance
from fast_graph.backends.redis.topic import MOST_BYTES, Topic
from fast_graph.backends.redis.wire import Batch
from fast_graph.model.records import Event
from tests.unit.backends.redis.processes import numbers


def batch(first: int, count: int) -> Batch:
    return Batch(first, 1000, [Event("x", b"1")] * count)


def add(topic: Topic, first: int, count: int = 1, size: int = 1) -> None:
    topic.add(batch(first, count).records(), size)


@pytest.mark.parametrize("seq", range(8))
def test_all_that_follows_a_number_is_given(seq: int) -> None:
    topic = Topic()
    for first, count in ((1, 3), (4, 1), (5, 3)):
        add(topic, first, count)
    assert numbers(topic.after(seq)) == list(range(seq + 1, 8))


def test_the_newest_batch_is_shared_and_not_copied() -> None:
    topic = Topic()
    add(topic, 1, 3)
    add(topic, 4, 3)
    assert topic.after(3) is topic.after(3)


def test_the_echo_is_dropped() -> None:
    topic = Topic()
    add(topic, 1, 3)
    topic.heard(batch(1, 3).pack())
    topic.heard(batch(2, 1).pack())
    assert numbers(topic.after(0)) == [1, 2, 3]


def test_the_echo_is_not_even_unpacked() -> None:
    topic = Topic()
    add(topic, 1, 3)
    topic.heard(batch(1, 3).pack()[:-3])
    assert numbers(topic.after(0)) == [1, 2, 3]


def test_an_echo_may_come_before_the_answer() -> None:
    topic = Topic()
    add(topic, 1, 3)
    topic.heard(batch(4, 1).pack())
    add(topic, 4, 1)
    assert numbers(topic.after(0)) == [1, 2, 3, 4]


def test_nothing_is_given_across_a_gap() -> None:
    topic = Topic()
    add(topic, 1, 3)
    topic.heard(batch(6, 2).pack())
    assert topic.after(3) == ()
    assert topic.after(0) == ()
    assert numbers(topic.after(5)) == [6, 7]
    assert topic.last_seq == 7


def test_what_is_heard_after_a_look_is_not_taken_for_an_echo() -> None:
    topic = Topic()
    topic.seen(Glance(5, closed=False, kept=False))
    for first in range(1, 6):
        topic.heard(batch(first, 1).pack())
    assert numbers(topic.after(0)) == [1, 2, 3, 4, 5]


def test_what_is_held_is_bounded() -> None:
    topic = Topic()
    for first in range(1, 100):
        add(topic, first, size=MOST_BYTES // 10)
    assert numbers(topic.after(89)) == list(range(90, 100))
    assert topic.after(88) == ()
    add(topic, 100, size=MOST_BYTES * 2)
    assert numbers(topic.after(99)) == [100]
    assert topic.after(98) == ()


def test_it_is_over_for_who_has_read_it_to_the_end() -> None:
    topic = Topic()
    topic.seen(Glance(3, closed=True, kept=False))
    assert [topic.is_over(seq) for seq in (2, 3)] == [False, True]
    topic.heard(b"e3 " + b'{"a":1}')
    topic.seen(Glance(3, closed=True, kept=False))
    assert topic.result == b'{"a":1}'


def test_it_is_stale_until_it_was_looked_at_after_it_was_joined() -> None:
    topic = Topic()
    stale = []
    for step in (topic.looking, topic.joined, topic.looking, topic.missed, topic.looking, topic.parted, topic.looking):
        step()
        stale.append(topic.stale)
    assert stale == [True, True, False, True, False, True, True]
