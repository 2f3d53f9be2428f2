"""Many rows in one statement, with every kind of value that sweeps write."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import make_town
from towns import history
from towns.bulk import update_rows
from towns.history import Actor
from towns.models import Town
from towns.words import CheckResult, Status

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 2, 17, 12, 0, 0, 123456, tzinfo=UTC)
FIELDS = ("last_checked_at", "health", "failure_reason", "consecutive_failures", "last_result")


def test_each_row_gets_its_own_values() -> None:
    towns = [make_town(name=f"town-{number}") for number in range(3)]
    towns[0].health = {"disk": {"used": 0.5}, "é": None, "quote": "it's"}
    towns[0].last_checked_at, towns[0].consecutive_failures = NOW, 3
    towns[0].failure_reason, towns[0].last_result = "50 % of it's gone", CheckResult.FAILED
    towns[1].last_checked_at, towns[1].last_result = NOW + timedelta(days=1), "ok"
    update_rows(towns[:2], FIELDS)
    first, second, third = Town.objects.order_by("name")
    assert first.health == {"disk": {"used": 0.5}, "é": None, "quote": "it's"}
    assert (first.last_checked_at, first.consecutive_failures) == (NOW, 3)
    assert (first.failure_reason, first.last_result) == ("50 % of it's gone", "failed")
    assert (second.last_checked_at, second.last_result) == (NOW + timedelta(days=1), "ok")
    assert (third.last_checked_at, third.consecutive_failures) == (None, 0)


def test_a_status_is_changed_with_its_event() -> None:
    town = make_town()
    event = history.new_event(
        town, "unhealthy", actor=Actor.shell(), now=NOW, to_status=Status.UNHEALTHY
    )
    event.save()
    update_rows([town], history.apply_status(town, event))
    town.refresh_from_db()
    assert (town.status, town.status_event_id) == ("unhealthy", event.pk)


def test_other_fields_stay_as_they_are_in_the_database() -> None:
    town = make_town()
    Town.objects.filter(pk=town.pk).update(consecutive_failures=7)
    town.last_checked_at = NOW
    update_rows([town], ["last_checked_at"])
    town.refresh_from_db()
    assert town.consecutive_failures == 7


def test_no_rows_cost_no_statement() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        update_rows([], FIELDS)
    assert len(queries) == 0


def test_many_rows_cost_one_statement() -> None:
    towns = [make_town(name=f"town-{number}") for number in range(20)]
    with CaptureQueriesContext(connection) as queries:
        update_rows(towns, FIELDS)
    assert len(queries) == 1
