"""The fleet in figures."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.factories import NOW, make_town
from towns.models import Sweep
from towns.overview.fleet import KEPT_SECONDS, Saved, read_fleet
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


def slept(ago: timedelta, asleep: int, **more: object) -> None:
    """An idle sweep that found so many asleep."""
    made = {"kind": Sweep.Kind.IDLE, "summary": {"asleep": asleep}, **more}
    Sweep.objects.create(slot=NOW - ago, started_at=NOW - ago, finished_at=NOW - ago, **made)


def test_hours_are_saved_by_all_that_slept_in_the_day_also_if_they_run_again() -> None:
    make_town(status=Status.STOPPED, stop_reason="idle")
    make_town(status=Status.STOPPED, stop_reason="person")
    make_town(status=Status.RUNNING, stop_reason="idle")
    slept(24.5 * HOUR, asleep=7)
    slept(23 * HOUR, asleep=4)
    slept(22 * HOUR, asleep=0)
    slept(1.5 * HOUR, asleep=3)
    slept(3 * HOUR, asleep=9, kind=Sweep.Kind.HEALTH, summary={})
    saved = read_fleet(NOW).saved
    assert (saved.towns, saved.hours, saved.money) == (1, 7 + 4 + 3 * 1.5, None)


def test_what_was_not_counted_saved_nothing() -> None:
    make_town(status=Status.STOPPED, stop_reason="idle", status_since=NOW - 9 * HOUR)
    slept(2 * HOUR, asleep=0, summary={"given_up": True})
    assert read_fleet(NOW).saved == Saved(1, 0.0, None)


@override_settings(GASTOWN_MACHINE_HOUR_PRICE=0.05)
def test_money_is_told_where_a_price_is_set() -> None:
    slept(2 * HOUR, asleep=5)
    assert read_fleet(NOW).saved.money == 0.5


def test_figures_are_kept_for_all_who_look() -> None:
    first = read_fleet(NOW)
    make_town()
    assert read_fleet(NOW + timedelta(seconds=KEPT_SECONDS / 2)) == first
    assert read_fleet(NOW - timedelta(seconds=1)) != first, "a clock that was set back"
