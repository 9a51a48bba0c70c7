"""How long to wait before a lost connection is made again."""

from redis.backoff import ExponentialWithJitterBackoff

MOST_FAILURES = 10
"""How many count: the pause is at its longest by then, and two to the power of a day's failures is no float."""

BACKOFF = ExponentialWithJitterBackoff(base=0.05, cap=2)


def pause_after(failures: int) -> float:
    """Seconds, after so many failures in a row."""
    return BACKOFF.compute(min(failures, MOST_FAILURES))
