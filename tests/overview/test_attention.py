"""What needs a person first."""

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import NOW, make_operation, make_town
from towns.models import Alert, Town
from towns.overview.attention import SHOWN, read_attention
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def alert(town: Town | None, severity: str, message: str = "look", **fields: Any) -> Alert:
    values: dict[str, Any] = {
        "cause": message,
        "subject": str(town.pk) if town else "fleet",
        "opened_at": NOW,
        "seen_at": NOW,
    }
    return Alert.objects.create(
        town=town, severity=severity, message=message, **{**values, **fields}
    )


def test_it_works() -> None:
    stuck, unhealthy, broken, warned = (make_town(name=f"town-{n}") for n in "abcd")
    Town.objects.filter(pk=unhealthy.pk).delete()
    unhealthy = make_town(status=Status.UNHEALTHY, failure_reason="time-out after 5 s")
    Town.objects.filter(pk=broken.pk).delete()
    broken = make_town(status=Status.ERROR, status_reason="no capacity")
    late = {"deadline_at": NOW - MINUTE, "step": "await_started", "message": "no capacity"}
    make_operation(stuck, OperationKind.START, **late)
    alert(warned, "warning")
    alert(None, "critical", "Fly is down")
    found = read_attention(NOW)
    assert [(case.town, case.reasons) for case in found.cases] == [
        (None, ["Fly is down"]),
        (broken, ["error: no capacity"]),
        (stuck, ["start is beyond its deadline, at await started: no capacity"]),
        (unhealthy, ["unhealthy: time-out after 5 s"]),
        (warned, ["look"]),
    ]
    assert (found.critical, found.warnings, found.stuck) == (1, 1, 1)


def test_all_that_is_wrong_with_a_town_is_one_case_as_grave_as_its_worst() -> None:
    town = make_town(status=Status.UNHEALTHY, status_reason="3 failures")
    alert(town, "critical", opened_at=NOW - MINUTE)
    alert(town, "warning", "disk nearly full")
    [case] = read_attention(NOW).cases
    assert case.reasons == ["unhealthy: 3 failures", "look", "disk nearly full"]
    assert case.gravity == 0
    assert case.since == NOW - MINUTE


def test_what_is_over_needs_nobody() -> None:
    town = make_town()
    alert(town, "critical", resolved_at=NOW)
    make_operation(town, OperationKind.START, state="failed", deadline_at=NOW - MINUTE)
    make_operation(make_town(), OperationKind.START, deadline_at=NOW + MINUTE)
    assert read_attention(NOW).nothing


def test_the_worst_are_shown_and_all_are_counted() -> None:
    for number in range(SHOWN + 3):
        alert(make_town(), "warning", opened_at=NOW - number * MINUTE)
    worst = make_town()
    alert(worst, "critical")
    found = read_attention(NOW)
    assert len(found.cases) == SHOWN
    assert found.cases[0].town == worst
    assert found.warnings == SHOWN + 3
