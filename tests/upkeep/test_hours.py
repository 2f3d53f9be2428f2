"""Hourly figures from health checks."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import NOW, make_town
from towns.models import HealthCheck, HealthHour, Town
from towns.upkeep import hours
from towns.upkeep.hours import HOUR, Counted

pytestmark = pytest.mark.django_db
LATER = NOW + 3 * HOUR


def check(town: Town, minute: float, result: str = "ok", **fields: Any) -> HealthCheck:
    """So many minutes after noon."""
    at = NOW + timedelta(minutes=minute)
    return HealthCheck.objects.create(town=town, checked_at=at, result=result, **fields)


def test_it_works() -> None:
    mill, quarry = make_town(), make_town()
    check(mill, 0, latency_ms=10, disk_used=2**40, cpu_ratio=0.25, polecats_active=0)
    check(mill, 3, "failed", latency_ms=31)
    check(mill, 6, "unknown", disk_used=2**41, cpu_ratio=0.75, polecats_active=3)
    check(quarry, 59.9)
    check(quarry, 60)
    assert hours.make_hours(LATER) == 2
    first = HealthHour.objects.get(town=mill)
    assert first.hour == NOW
    assert (first.checks, first.ok, first.failed, first.unknown) == (3, 1, 1, 1)
    assert (first.latency_ms_avg, first.latency_ms_max) == (20.5, 31)
    assert (first.disk_used_avg, first.disk_used_max) == (1.5 * 2**40, 2**41)
    assert (first.cpu_ratio_avg, first.cpu_ratio_max) == (0.5, 0.75)
    assert (first.polecats_active_avg, first.polecats_active_max) == (1.5, 3)
    found = HealthHour.objects.filter(town=quarry).order_by("hour").values_list("hour", "checks")
    assert list(found) == [(NOW, 1), (NOW + HOUR, 1)]


def test_what_no_check_told_is_unknown_and_not_zero() -> None:
    check(make_town(), 0, "failed")
    hours.make_hours(LATER)
    found = HealthHour.objects.get()
    names = [one.name for one in HealthHour._meta.get_fields() if one.name[-4:] in ("_avg", "_max")]
    assert [getattr(found, name) for name in names] == [None] * 15


def test_downtime_lasts_from_a_failed_check_to_the_next() -> None:
    town, other = make_town(), make_town()
    check(town, 0)
    check(town, 3, "failed")
    check(town, 6, "failed")
    check(town, 8)
    check(other, 57, "failed")
    check(other, 62)
    hours.make_hours(LATER)
    assert HealthHour.objects.get(town=town).downtime_seconds == 5 * 60
    downtime = HealthHour.objects.filter(town=other).order_by("hour")
    assert list(downtime.values_list("downtime_seconds", flat=True)) == [5 * 60, 0]


def test_a_gap_in_our_own_watching_is_no_downtime() -> None:
    town, other = make_town(), make_town()
    check(town, 0, "failed")
    check(town, 40)
    check(other, 0, "failed")
    hours.make_hours(LATER)
    assert set(HealthHour.objects.values_list("downtime_seconds", flat=True)) == {2 * 180}


def test_an_hour_is_made_when_it_is_over_and_what_followed_is_known() -> None:
    check(make_town(), 0)
    assert hours.make_hours(NOW + HOUR) == 0
    assert hours.make_hours(NOW + HOUR + timedelta(minutes=5, seconds=59)) == 0
    assert hours.make_hours(NOW + HOUR + timedelta(minutes=6)) == 1


def test_again_makes_none_and_an_hour_made_twice_is_the_same() -> None:
    check(make_town(), 0, "failed", latency_ms=3)
    hours.make_hours(LATER)
    before = list(HealthHour.objects.values())
    assert hours.make_hours(LATER) == 0
    hours.make_hour(NOW)
    assert list(HealthHour.objects.values()) == before


def test_figures_are_never_replaced_by_those_of_fewer_checks() -> None:
    town = make_town()
    first = check(town, 0)
    check(town, 3)
    hours.make_hours(LATER)
    first.delete()
    hours.make_hour(NOW)
    assert HealthHour.objects.get().checks == 2
    HealthCheck.objects.all().delete()
    hours.make_hour(NOW)
    assert HealthHour.objects.get().checks == 2


def test_a_late_check_is_found_missing_and_made_good() -> None:
    town = make_town()
    check(town, 0)
    hours.make_hours(LATER)
    assert list(hours.counted(LATER)) == [Counted(NOW, 1, 1)]
    assert not hours.is_missing(NOW)
    check(town, 30, "failed")
    check(make_town(), 90)
    assert list(hours.counted(LATER)) == [Counted(NOW, 2, 1), Counted(NOW + HOUR, 1, 0)]
    assert list(hours.counted(NOW + HOUR)) == [Counted(NOW, 2, 1)]
    assert list(hours.counted(LATER, since=NOW + HOUR)) == [Counted(NOW + HOUR, 1, 0)]
    for hour in (NOW, NOW + HOUR):
        assert hours.is_missing(hour)
        hours.make_hour(hour)
        assert not hours.is_missing(hour)
    assert HealthHour.objects.get(town=town).failed == 1


def test_a_town_that_misses_one_is_found_whatever_others_have_too_many() -> None:
    town, other = make_town(), make_town()
    gone = check(other, 0)
    check(other, 3)
    hours.make_hours(LATER)
    gone.delete()
    assert not hours.is_missing(NOW)
    check(town, 30)
    assert hours.is_missing(NOW)


def test_hours_are_counted_one_at_a_time() -> None:
    """A day of a large fleet in one statement takes longer than a task may."""
    town = make_town()
    for hour in range(3):
        check(town, 60 * hour)
    with CaptureQueriesContext(connection) as captured:
        next(hours.counted(LATER))
    assert len(captured) == 3, "where it begins, what its figures tell, how many there are"


def test_it_costs_the_same_for_many_towns_and_nothing_for_hours_without_checks() -> None:
    for minute in (0, 600):
        for _ in range(5):
            check(make_town(), minute)
    with CaptureQueriesContext(connection) as captured:
        assert hours.make_hours(NOW + 24 * HOUR) == 2
    assert len(captured) == 6, "the newest, and two for an hour, and one that finds no more"
    assert HealthHour.objects.count() == 10


def test_it_stops_when_told_and_goes_on_where_it_stopped() -> None:
    town = make_town()
    for hour in range(3):
        check(town, 60 * hour)
    left = iter([False, False, True])
    assert hours.make_hours(NOW + 24 * HOUR, enough=lambda: next(left)) == 2
    assert hours.make_hours(NOW + 24 * HOUR) == 1
    assert HealthHour.objects.count() == 3
