"""The last 24 hours."""

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.factories import NOW, make_operation, make_town
from towns.charts import Point, with_gaps
from towns.models import Sweep
from towns.overview.day import day_charts, recent_day_charts, usual_step
from towns.words import OperationKind

MINUTE = timedelta(minutes=1)


@pytest.mark.django_db
def test_it_works() -> None:
    for number, results in enumerate(({"ok": 9}, {"ok": 7, "failed": 2, "unknown": 1})):
        slot = NOW - timedelta(hours=1) + 3 * number * MINUTE
        Sweep.objects.create(
            kind="health",
            slot=slot,
            started_at=slot,
            finished_at=slot + timedelta(seconds=4 + number),
            summary={"results": results},
        )
    make_operation(make_town(), OperationKind.RESTART, automatic=True, created_at=NOW)
    asked, took, restarts = day_charts(NOW)
    for words in ("asked now 10, at most 10", "failing now 2", "unknown now 1"):
        assert words in asked, words
    assert "seconds now 5, at most 5" in took
    assert "restarts now 1, at most 1" in restarts


@pytest.mark.django_db
def test_a_new_installation_has_charts_too() -> None:
    assert all("<svg" in chart for chart in day_charts(NOW))


@pytest.mark.django_db
def test_they_are_kept_for_all_who_look(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    first = recent_day_charts(NOW)
    make_operation(make_town(), OperationKind.RESTART, automatic=True, created_at=NOW)
    with django_assert_num_queries(0):
        assert recent_day_charts(NOW + timedelta(seconds=9)) == first
    assert recent_day_charts(NOW - timedelta(seconds=1)) != first, "a clock that was set back"


def test_a_time_in_which_nobody_looked_is_a_gap() -> None:
    moments = [NOW + MINUTE * number for number in (0, 3, 6, 30, 33)]
    points: list[Point] = [(moment, 1.0) for moment in moments]
    found = with_gaps(points, usual_step(points))
    assert [moment for moment, value in found if value is None] == [NOW + 9 * MINUTE]
    assert len(found) == 6
