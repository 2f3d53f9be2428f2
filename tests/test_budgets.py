"""Budgets that all workers share: Fly's rates."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from towns import budgets
from towns.budgets import SharedBuckets, full_buckets
from towns.models import FlyBudget
from towns.services.errors import RateLimited
from towns.services.limits import LONGEST_WAIT, Limit, TokenBuckets

pytestmark = pytest.mark.django_db(transaction=True)
SLOW = {"start_machine": Limit(per_second=0.001, burst=3)}
"""So slow that no test sees a token come."""


def worker(**fields: Any) -> SharedBuckets:
    """What one process of many has."""
    return SharedBuckets(TokenBuckets(**{"limits": SLOW, **fields}))


def taken(buckets: SharedBuckets, action: str = "start_machine", key: str = "m1") -> int:
    """How many calls go through at once."""
    for count in range(100):
        try:
            buckets.take(action, key)
        except RateLimited:
            return count
    return 100


def time_goes_by(seconds: float) -> None:
    FlyBudget.objects.update(full_at=F("full_at") - seconds)


def test_it_works() -> None:
    assert taken(worker()) == 3


def test_two_workers_share_a_bucket() -> None:
    first, second = worker(), worker()
    first.take("start_machine", "m1")
    second.take("start_machine", "m1")
    first.take("start_machine", "m1")
    assert taken(second) == 0
    assert taken(first) == 0


def test_it_says_when_the_next_one_may_go() -> None:
    taken(worker())
    with pytest.raises(RateLimited) as caught:
        worker().take("start_machine", "m1")
    assert caught.value.retry_after == pytest.approx(1000, abs=20)
    assert str(caught.value).startswith("start_machine of m1 was not sent")


def test_tokens_come_with_time() -> None:
    taken(worker())
    time_goes_by(1000)
    assert taken(worker()) == 1
    time_goes_by(100_000)
    assert taken(worker()) == 3


def test_the_clocks_of_the_hosts_do_not_matter() -> None:
    early, late = worker(clock=lambda: 0.0), worker(clock=lambda: 4e9)
    assert taken(early) == 3
    assert taken(late) == 0


def test_a_clock_that_was_set_back_blocks_nobody() -> None:
    taken(worker())
    time_goes_by(-7200)
    assert taken(worker()) == 3


def test_fly_s_own_limits_hold() -> None:
    hands = iter(range(10**6))
    buckets = SharedBuckets(TokenBuckets(clock=lambda: 1000.0 * next(hands)))
    assert 10 <= taken(buckets, "get_machine") < 20
    assert 3 <= taken(buckets, "stop_machine") < 6
    assert 3 <= taken(buckets, "list_machines", "towns") < 6


def test_machines_and_actions_have_their_own_buckets() -> None:
    limits = {**SLOW, "stop_machine": Limit(per_second=0.001, burst=2)}
    buckets = worker(limits=limits)
    taken(buckets)
    assert taken(buckets, "start_machine", "m2") == 3
    assert taken(buckets, "stop_machine") == 2


def test_a_token_costs_one_statement() -> None:
    buckets = worker()
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            buckets.take("start_machine", "m1")
        assert len(captured) == 1


def test_what_the_process_knows_to_be_refused_costs_none() -> None:
    mine, others = worker(), worker()
    taken(others)
    with pytest.raises(RateLimited):
        mine.take("start_machine", "m1")
    with CaptureQueriesContext(connection) as captured:
        for _ in range(50):
            with pytest.raises(RateLimited) as caught:
                mine.take("start_machine", "m1")
    assert len(captured) == 0
    assert caught.value.retry_after == pytest.approx(1000, abs=20)


def test_many_workers_at_once_get_no_more_than_there_is() -> None:
    got: list[int] = []
    gate = threading.Barrier(8)

    def work() -> None:
        try:
            gate.wait(30)
            got.append(taken(worker()))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), sum(got)) == (8, 3)


def failing(*_: Any) -> Any:
    raise OperationalError("the server closed the connection unexpectedly")


def test_without_the_database_the_process_decides(caplog: pytest.LogCaptureFixture) -> None:
    buckets = worker()
    with connection.execute_wrapper(failing):
        assert taken(buckets) == 3
    assert "the budget of start_machine was not asked" in caplog.text
    assert taken(worker()) == 3, "and afterwards it is asked again"


def test_what_fly_refused_is_left_alone_by_all_workers() -> None:
    first, second = worker(), worker()
    first.take("start_machine", "m1")
    first.hold("start_machine", "m1", 30)
    for one in (first, second, worker()):
        with pytest.raises(RateLimited) as caught:
            one.take("start_machine", "m1")
        assert caught.value.retry_after == pytest.approx(30, abs=5)
    assert taken(second, key="m2") == 3, "another machine is not meant"
    time_goes_by(30.01)  # SQLite's clock has ticks of a millisecond
    assert taken(worker()) == 2


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    for seconds in (30, 1, 20):
        worker().hold("start_machine", "m1", seconds)
    with pytest.raises(RateLimited) as caught:
        worker().take("start_machine", "m1")
    assert caught.value.retry_after == pytest.approx(30, abs=5)


def test_nobody_waits_for_longer_than_a_retry_after_is_believed() -> None:
    worker().hold("start_machine", "m1", 86_400)
    with pytest.raises(RateLimited) as caught:
        worker().take("start_machine", "m1")
    assert caught.value.retry_after <= LONGEST_WAIT
    time_goes_by(-7200)  # the clock was set back: what it says now means nothing
    assert taken(worker()) == 3
    worker().hold("start_machine", "m1", 5)
    with pytest.raises(RateLimited):
        worker().take("start_machine", "m1")


def test_without_the_database_the_process_waits_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    buckets = worker()
    with connection.execute_wrapper(failing):
        buckets.hold("start_machine", "m1", 30)
        assert taken(buckets) == 0
    with transaction.atomic():
        buckets.hold("start_machine", "m2", 30)
        assert taken(buckets, key="m2") == 0
    assert "others were not told to wait with start_machine" in caplog.text
    assert not FlyBudget.objects.exists()


def test_inside_a_transaction_the_process_decides() -> None:
    """Else its end would be waited for by everybody else who asks Fly."""
    buckets = worker()
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        assert taken(buckets) == 3
    assert len(captured) == 0
    assert not FlyBudget.objects.exists()


def test_a_row_that_vanishes_in_between_is_a_token_of_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken(worker())
    monkeypatch.setattr(budgets, "_WAIT", "NULL, NULL")
    with pytest.raises(RateLimited) as caught:
        worker().take("start_machine", "m1")
    assert caught.value.retry_after == 1000


def test_an_id_of_any_length_has_a_bucket() -> None:
    assert taken(worker(), "start_machine", "m" * 5000) == 3


def full_since(key: str, ago: timedelta) -> None:
    at = datetime.now(UTC) - ago
    FlyBudget.objects.create(key=key, full_at=at.timestamp())


@pytest.mark.parametrize("look", [lambda now: now, lambda now: now + timedelta(minutes=30)])
def test_full_buckets_are_forgotten(look: Callable[[datetime], datetime]) -> None:
    full_since("old", timedelta(hours=2))
    full_since("fresh", timedelta(minutes=5))
    taken(worker())
    assert full_buckets(look(datetime.now(UTC))).delete()[0] == 1
    assert set(FlyBudget.objects.values_list("key", flat=True)) == {"fresh", "start_machine m1"}
    assert taken(worker()) == 0, "an empty one is not among them"
