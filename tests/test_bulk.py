"""Many rows in one statement, with every kind of value that sweeps write."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import make_operation, make_town
from towns import history
from towns.bulk import insert_rows, update_columns, update_rows
from towns.history import Actor
from towns.models import HealthCheck, Operation, Town
from towns.words import CheckResult, OperationKind, Status

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


def test_columns_that_are_alike_and_such_as_are_each_ones_own() -> None:
    towns = [make_town() for _ in range(3)]
    update_columns(
        Town,
        [towns[0].pk, towns[1].pk],
        alike={"last_checked_at": NOW, "last_result": CheckResult.OK},
        each={"health": [{"a": 'it"s'}, {"b": [1, None]}], "last_backup_at": [None, NOW]},
    )
    found = {town.pk: town for town in Town.objects.all()}
    first, second, third = (found[town.pk] for town in towns)
    assert (first.health, first.last_backup_at) == ({"a": 'it"s'}, None)
    assert (second.health, second.last_backup_at) == ({"b": [1, None]}, NOW)
    assert (first.last_checked_at, second.last_result) == (NOW, "ok")
    assert (third.last_checked_at, third.last_result, third.health) == (None, "", {})


def test_no_keys_change_nothing() -> None:
    town = make_town()
    update_columns(Town, [], alike={"last_result": "ok"}, each={})
    town.refresh_from_db()
    assert town.last_result == ""


def test_rows_are_inserted_with_all_kinds_of_values() -> None:
    town = make_town()
    insert_rows(
        HealthCheck,
        {"checked_at": NOW, "slot": None, "result": CheckResult.FAILED, "kind": ""},
        ("town_id", "reason", "latency_ms", "cpu_ratio", "daemon_running"),
        [(town.pk, "a\ttab,\na line, a \\ and é", 3, 0.25, True), (town.pk, "", None, None, None)],
    )
    first, second = HealthCheck.objects.order_by("pk")
    assert first.reason == "a\ttab,\na line, a \\ and é"
    assert (first.latency_ms, first.cpu_ratio, first.daemon_running) == (3, 0.25, True)
    assert (first.checked_at, first.slot, first.result) == (NOW, None, "failed")
    assert (second.latency_ms, second.cpu_ratio, second.daemon_running) == (None, None, None)
    insert_rows(HealthCheck, {}, ("town_id",), [])
    assert HealthCheck.objects.count() == 2


def test_any_of_finds_what_in_finds() -> None:
    towns = [make_town() for _ in range(3)]
    operation = make_operation(towns[1], OperationKind.BACKUP)
    some: list[Any] = [towns[0].pk, str(towns[1].pk)]
    assert set(Town.objects.filter(pk__any_of=some)) == set(towns[:2])
    assert list(Operation.objects.filter(town__any_of=some)) == [operation]
    assert list(Operation.objects.exclude(town__any_of=some)) == []
    assert not Town.objects.filter(pk__any_of=[]).exists()
