"""Tokens that a process takes ahead."""

import threading
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from towns.api.batches import KEPT_SECONDS, Batches, largest_batch
from towns.budgets import SharedBuckets
from towns.models import FlyBudget
from towns.services.errors import RateLimited
from towns.services.limits import Limit, TokenBuckets

pytestmark = pytest.mark.django_db(transaction=True)
BURST, BATCH = 100, 10
SLOW = Limit(per_second=0.001, burst=BURST)
"""So slow that no test sees a token come."""


class Hands:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _batches_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towns.api.batches.largest_batch", lambda _: BATCH)


def process(clock: Hands | None = None) -> Batches:
    """What one of many has."""
    clock = clock or Hands()
    own = TokenBuckets(clock=clock, limits={"api": SLOW})
    return Batches(SharedBuckets(own=own), clock=clock)


def taken(batches: Batches, at_most: int = 1000) -> int:
    """How many calls go through at once."""
    for count in range(at_most):
        try:
            batches.take("api", "ann")
        except RateLimited:
            return count
    return at_most


def statements(batches: Batches, calls: int) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert taken(batches, calls) == calls
    return len(captured)


def test_it_works() -> None:
    assert taken(process()) == BURST


@pytest.mark.parametrize(
    ("per_second", "burst", "size"), [(10, 100, 10), (10, 3, 1), (0.1, 100, 1), (1, 1000, 5)]
)
def test_how_large_a_batch_is(per_second: float, burst: int, size: int) -> None:
    assert largest_batch(Limit(per_second=per_second, burst=burst)) == size


def test_batches_grow_and_then_cost_a_statement_each() -> None:
    batches = process()
    assert statements(batches, 1 + 2 + 4 + 8) == 4
    assert statements(batches, 3 * BATCH) == 3


def test_who_calls_now_and_then_takes_none_in_vain() -> None:
    clock = Hands()
    batches = process(clock)
    for _ in range(5):
        batches.take("api", "ann")
        clock.now += KEPT_SECONDS
    assert taken(process()) == BURST - 5


def test_it_says_how_many_are_left() -> None:
    batches = process()
    assert [batches.take("api", "ann") for _ in range(30)] == list(range(99, 69, -1))


def test_what_is_not_spent_is_lost_after_a_while() -> None:
    clock = Hands()
    batches = process(clock)
    taken(batches, 1 + 2 + 4 + 1)  # seven are in hand
    clock.now += KEPT_SECONDS
    assert statements(batches, 1) == 1
    assert taken(process()) == BURST - 15 - 1


def test_all_processes_together_give_what_there_is() -> None:
    many, given = [process() for _ in range(4)], 0
    while now_given := sum(taken(one, 3) for one in many):
        given += now_given
    assert given == BURST


def test_never_more_than_a_batch_is_kept_for_later() -> None:
    """The limit is exceeded by what was taken before it filled again, and by no more."""
    many = [process() for _ in range(3)]
    for one in many:
        taken(one, 1 + 2 + 4 + 8 + 1)
    FlyBudget.objects.update(full_at=F("full_at") - BURST / SLOW.per_second)  # full again
    assert BURST <= sum(taken(one) for one in many) <= BURST + 3 * BATCH


def test_the_last_ones_are_given_too() -> None:
    mine, others = process(), process()
    taken(mine, 1 + 2 + 4)
    taken(others, BURST - 7 - 3)
    assert taken(mine) + taken(others) == 3


def test_at_once_no_more_goes_through_than_there_is() -> None:
    batches, got = process(), list[int]()
    gate = threading.Barrier(8)

    def work() -> None:
        try:
            gate.wait(30)
            got.append(taken(batches))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert BURST - BATCH <= sum(got) <= BURST


def test_without_the_database_the_process_decides() -> None:
    def failing(*_: Any) -> Any:
        raise OperationalError("the server closed the connection unexpectedly")

    batches = process()
    with connection.execute_wrapper(failing):
        assert taken(batches) == BURST
    with transaction.atomic():
        assert taken(process()) == BURST
    assert not FlyBudget.objects.exists()


def test_old_batches_are_forgotten() -> None:
    clock = Hands()
    batches = process(clock)
    batches._sweep_above = 3
    for number in range(4):
        batches.take("api", f"u-{number}")
        clock.now += KEPT_SECONDS
    assert len(batches._batches) == 1
