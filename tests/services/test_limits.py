import pytest

from towns.services.errors import RateLimited
from towns.services.limits import TokenBuckets


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def taken(buckets: TokenBuckets, action: str, key: str = "m1") -> int:
    """How many calls go through at once."""
    for count in range(100):
        try:
            buckets.take(action, key)
        except RateLimited:
            return count
    return 100


def test_it_allows_a_burst_of_three() -> None:
    assert taken(TokenBuckets(clock=Hands()), "start_machine") == 3


def test_it_allows_ten_looks_at_one_machine() -> None:
    assert taken(TokenBuckets(clock=Hands()), "get_machine") == 10


def test_it_says_when_the_next_one_may_go() -> None:
    buckets = TokenBuckets(clock=Hands())
    taken(buckets, "start_machine")
    with pytest.raises(RateLimited) as caught:
        buckets.take("start_machine", "m1")
    assert caught.value.retry_after == pytest.approx(1.0)


def test_it_fills_one_token_a_second() -> None:
    clock = Hands()
    buckets = TokenBuckets(clock=clock)
    taken(buckets, "start_machine")
    clock.seconds += 1
    assert taken(buckets, "start_machine") == 1
    clock.seconds += 60
    assert taken(buckets, "start_machine") == 3


def test_it_fills_five_looks_a_second() -> None:
    clock = Hands()
    buckets = TokenBuckets(clock=clock)
    taken(buckets, "get_machine")
    clock.seconds += 1
    assert taken(buckets, "get_machine") == 5


def test_machines_and_actions_have_their_own_buckets() -> None:
    buckets = TokenBuckets(clock=Hands())
    taken(buckets, "start_machine")
    assert taken(buckets, "start_machine", "m2") == 3
    assert taken(buckets, "stop_machine") == 3


def test_it_forgets_buckets_that_are_full() -> None:
    clock = Hands()
    buckets = TokenBuckets(clock=clock)
    for number in range(5000):
        clock.seconds += 1
        buckets.take("start_machine", f"m{number}")
    assert len(buckets._full_at) < 1100
