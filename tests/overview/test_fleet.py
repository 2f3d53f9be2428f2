"""The fleet in figures."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.factories import NOW, make_town
from towns.overview.fleet import KEPT_SECONDS, read_fleet
from towns.words import DesiredState, Status

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_it_works() -> None:
    for status in (Status.STOPPED, Status.RUNNING, Status.RUNNING):
        make_town(status=status)
    make_town(status=Status.DESTROYED, destroyed_at=NOW)
    fleet = read_fleet(NOW)
    assert fleet.statuses == [(Status.RUNNING, 2), (Status.STOPPED, 1)]
    assert fleet.total == 3


def test_what_is_wanted_is_counted_apart_from_what_is() -> None:
    make_town(status=Status.ERROR)
    make_town(status=Status.ERROR, desired_state=DesiredState.STOPPED)
    make_town(status=Status.RUNNING)
    make_town(status=Status.DESTROYED, destroyed_at=NOW, desired_state=DesiredState.DESTROYED)
    with CaptureQueriesContext(connection) as captured:
        fleet = read_fleet(NOW)
    assert fleet.desired == [(DesiredState.RUNNING, 2), (DesiredState.STOPPED, 1)]
    assert fleet.statuses == [(Status.RUNNING, 1), (Status.ERROR, 2)]
    assert len(captured) == 2


def test_hours_are_saved_by_idle_stops_alone_and_a_day_of_them_at_most() -> None:
    for reason, slept in (("idle", 3.5 * HOUR), ("idle", 50 * HOUR), ("person", 9 * HOUR)):
        make_town(status=Status.STOPPED, stop_reason=reason, status_since=NOW - slept)
    make_town(stop_reason="idle", status_since=NOW - 9 * HOUR)
    saved = read_fleet(NOW).saved
    assert (saved.towns, saved.hours, saved.money) == (2, 27.5, None)


@override_settings(GASTOWN_MACHINE_HOUR_PRICE=0.05)
def test_money_is_told_where_a_price_is_set() -> None:
    make_town(status=Status.STOPPED, stop_reason="idle", status_since=NOW - 10 * HOUR)
    assert read_fleet(NOW).saved.money == 0.5


def test_figures_are_kept_for_all_who_look() -> None:
    first = read_fleet(NOW)
    make_town()
    assert read_fleet(NOW + timedelta(seconds=KEPT_SECONDS / 2)) == first
    assert read_fleet(NOW - timedelta(seconds=1)) != first, "a clock that was set back"
