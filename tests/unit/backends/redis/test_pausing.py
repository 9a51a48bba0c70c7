from fast_graph.backends.redis.pausing import pause_after


def test_an_outage_may_last_for_days() -> None:
    assert 0 <= pause_after(100_000) <= 2
