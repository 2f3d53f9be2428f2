"""The rate of wrong stops."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import NOW, make_operation, make_town
from tests.replay.days import Days
from towns.models import Town
from towns.replay.wrong_stops import WrongStops, recent_wrong_stop_rate, wrong_stop_rate
from towns.words import OperationKind, OperationState

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def stop(town: Town, minutes_ago: float, **fields: object) -> None:
    """A stop that was carried out, an idle one unless `fields` say otherwise."""
    ended = NOW - minutes_ago * MINUTE
    values: dict[str, object] = {
        "actor": "sweep:idle",
        "automatic": True,
        "state": OperationState.SUCCEEDED,
        "created_at": ended - MINUTE,
        "finished_at": ended,
    }
    make_operation(town, OperationKind.STOP, **{**values, **fields})


def start(town: Town, minutes_ago: float, **fields: object) -> None:
    """A start that somebody asked for."""
    values: dict[str, object] = {
        "created_at": NOW - minutes_ago * MINUTE,
        "state": OperationState.SUCCEEDED,
    }
    make_operation(town, OperationKind.START, **{**values, **fields})


def test_it_works() -> None:
    undone, kept = make_town(), make_town()
    stop(undone, 60)
    start(undone, 57)
    stop(kept, 50)
    start(kept, 30)
    assert wrong_stop_rate(NOW) == WrongStops(2, 1, 0.5)


def test_nothing_stopped_has_no_rate() -> None:
    assert wrong_stop_rate(NOW) == WrongStops(0, 0, None)


def test_only_idle_stops_that_were_carried_out_in_these_days_count() -> None:
    town = make_town()
    stop(town, 60, actor="ann", automatic=False)
    stop(town, 60, actor="sweep:reconcile")
    stop(town, 60, state=OperationState.FAILED)
    stop(town, 8 * 24 * 60)
    start(town, 59)
    assert wrong_stop_rate(NOW).stops == 0
    assert wrong_stop_rate(NOW, days=9).stops == 1


def test_a_start_by_a_rule_or_of_another_town_or_later_undoes_nothing() -> None:
    town = make_town()
    stop(town, 60)
    start(town, 58, automatic=True)
    start(town, 54.9)
    start(town, 61)
    start(make_town(), 58)
    assert wrong_stop_rate(NOW) == WrongStops(1, 0, 0.0)
    start(town, 55)
    assert wrong_stop_rate(NOW).wrong == 1


def test_it_costs_one_statement() -> None:
    for _ in range(5):
        stop(make_town(), 60)
    with CaptureQueriesContext(connection) as captured:
        wrong_stop_rate(NOW)
    assert len(captured) == 1


def test_an_owner_who_comes_back_at_once_makes_a_real_stop_wrong() -> None:
    days = Days()
    days.visit()
    days.minutes(36)
    days.visit()
    days.minutes(3)
    assert wrong_stop_rate(days.now) == WrongStops(1, 1, 1.0)


def test_pages_read_it_once_in_a_while() -> None:
    cache.clear()
    assert recent_wrong_stop_rate(NOW).stops == 0
    stop(make_town(), 60)
    assert recent_wrong_stop_rate(NOW).stops == 0
    assert recent_wrong_stop_rate(NOW, days=1).stops == 1
    cache.clear()
