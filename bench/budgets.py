"""What it costs to ask whether Fly may be asked: in this process alone, and for all workers."""

import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median

from django.db import connection

from towns.budgets import SharedBuckets
from towns.services.errors import RateLimited
from towns.services.limits import RateLimiter, TokenBuckets


def run(*, calls: int) -> None:
    """Print microseconds for a token that is given, and for one that is refused."""
    name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[connection.vendor]
    SharedBuckets().take("get_machine", "warm-up")
    print(f"one take of {calls}, median, {name}")
    for title, make in (("in-process", TokenBuckets), ("shared", SharedBuckets)):
        given = micros(make(), [f"{title}-{number}" for number in range(calls)])
        refused = micros(make(), [title] * (calls + 50))
        print(f"  {title + ':':12} given {given:8.1f} \u00b5s   refused {refused:8.1f} \u00b5s")


def micros(limiter: RateLimiter, keys: list[str]) -> float:
    """The median of what one take costs."""
    return 1e6 * median(timed(lambda key=key: limiter.take("get_machine", key)) for key in keys)


def timed(take: Callable[[], None]) -> float:
    """Seconds, whether a token was given or refused."""
    begun = time.perf_counter()
    with suppress(RateLimited):
        take()
    return time.perf_counter() - begun
