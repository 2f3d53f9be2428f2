"""All that happened to a town in one line of time."""

from datetime import datetime, timedelta

import pytest

from tests.factories import NOW, make_operation, make_town
from towns import alerts, history
from towns.history import Actor
from towns.models import HealthCheck, Town
from towns.town_page.past import ROWS, Sample, read_past
from towns.town_page.timeline import folded, timeline
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
ANN = Actor("ann")


def sample(minutes: float, result: str = "ok", reason: str = "") -> Sample:
    """A check so many minutes ago."""
    return Sample(NOW - minutes * MINUTE, result, reason, None, None, None, None, None)


def texts(town: Town, before: datetime = NOW) -> list[str]:
    return [entry.text for entry in timeline(read_past(town, before))[0]]


def test_it_works() -> None:
    town = make_town()
    operation = make_operation(town, OperationKind.RESTART)
    HealthCheck.objects.create(town=town, checked_at=NOW - 9 * MINUTE, result="failed", reason="x")
    at = NOW - 8 * MINUTE
    history.record(town, "noted", actor=ANN, now=at, reason="for a test", operation=operation)
    alerts.open_alert(
        cause="disk_warning", town=town, severity="warning", message="Full.", now=NOW - 7 * MINUTE
    )
    alerts.resolve_alerts(
        causes=["disk_warning"], town=town, now=NOW - MINUTE, resolution="cleared up"
    )
    entries, older = timeline(read_past(town, NOW))
    assert [(entry.text, entry.tone) for entry in entries] == [
        ("Full.: cleared up", "succeeded"),
        ("Full.", "warning"),
        ("Noted: for a test", "quiet"),
        ("1 check failed: x", "failed"),
    ]
    assert [entry.operation for entry in entries][2] == operation.pk
    assert older is None


def test_a_run_of_checks_that_say_the_same_is_one_entry_where_it_began() -> None:
    checks = [
        sample(0),
        sample(3),
        sample(6, "failed", "time-out"),
        sample(9, "failed", "refused"),
        sample(12),
    ]
    assert [(entry.at, entry.text) for entry in folded(checks)] == [
        (NOW - 3 * MINUTE, "2 checks ok, until 12:00:00"),
        (NOW - 6 * MINUTE, "1 check failed: time-out"),
        (NOW - 9 * MINUTE, "1 check failed: refused"),
        (NOW - 12 * MINUTE, "1 check ok"),
    ]


def test_older_pages_tell_everything_once() -> None:
    town = make_town()
    for number in reversed(range(2 * ROWS + 5)):
        moment = NOW - (number + 1) * MINUTE
        history.record(town, "noted", actor=ANN, now=moment, reason=str(number))
    HealthCheck.objects.create(
        town=town, checked_at=NOW - (ROWS + 9.5) * MINUTE, result="failed", reason="refused"
    )
    told: list[str] = []
    before: datetime | None = NOW
    for _ in range(9):
        if before is None:
            break
        entries, before = timeline(read_past(town, before))
        told += [entry.text for entry in entries]
    assert before is None
    assert sorted(told) == sorted(
        [f"Noted: {n}" for n in range(2 * ROWS + 5)] + ["1 check failed: refused"]
    )


def test_another_town_s_history_is_not_told() -> None:
    town, other = make_town(), make_town()
    history.record(other, "noted", actor=ANN, now=NOW - MINUTE)
    assert texts(town) == []
