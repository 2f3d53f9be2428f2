"""All that happened to a town in one line of time."""

from datetime import datetime, timedelta

import pytest

from tests.factories import NOW, make_operation, make_town
from towns import alerts, history
from towns.history import Actor
from towns.models import HealthCheck, Town
from towns.town_page.past import CHECKS_TOLD, ROWS, Sample, read_past
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
        ("Full. Resolved: cleared up", "succeeded"),
        ("Full.", "warning"),
        ("Noted: for a test", "quiet"),
        ("1 check failed: x", "failed"),
    ]
    assert [entry.operation for entry in entries][2] == operation.pk
    assert older is None


def test_each_failure_is_an_entry_and_so_is_a_run_of_good_checks_where_it_began() -> None:
    checks = [
        sample(0),
        sample(3),
        sample(6, "failed", "time-out"),
        sample(9, "failed", "time-out"),
        sample(12),
        sample(1500),
    ]
    assert [(entry.at, entry.text) for entry in folded(checks)] == [
        (NOW - 3 * MINUTE, "2 checks ok, until 12:00:00 UTC"),
        (NOW - 6 * MINUTE, "1 check failed: time-out"),
        (NOW - 9 * MINUTE, "1 check failed: time-out"),
        (NOW - 1500 * MINUTE, "2 checks ok, until 17 Feb 11:48:00 UTC"),
    ]


def test_the_steps_of_operations_are_told_as_they_are_done() -> None:
    town = make_town()
    at = NOW - 3 * MINUTE
    log = [
        {"step": "note_pointer", "at": (at - MINUTE).isoformat(), "note": "20260217T115500Z"},
        {"step": "request_sync", "at": at.isoformat(), "note": ""},
    ]
    make_operation(town, OperationKind.STOP, log=log, created_at=at - 2 * MINUTE)
    assert texts(town) == [
        "Stop, step done: request sync",
        "Stop, step done: note pointer (20260217T115500Z)",
    ]
    assert texts(town, at) == ["Stop, step done: note pointer (20260217T115500Z)"]


def pages(town: Town, rows: int = ROWS) -> list[list[str]]:
    """All pages, from the newest on."""
    found, before = list[list[str]](), NOW
    for _ in range(9):
        entries, older = timeline(read_past(town, before), rows=rows)
        found.append([entry.text for entry in entries])
        if older is None:
            return found
        assert older < before
        before = older
    raise AssertionError("the pages have no end")


def test_older_pages_tell_everything_once() -> None:
    town = make_town()
    for number in reversed(range(2 * ROWS + 5)):
        moment = NOW - (number // 2 + 1) * MINUTE  # two at each moment, as in one transaction
        history.record(town, "noted", actor=ANN, now=moment, reason=str(number))
    HealthCheck.objects.create(
        town=town, checked_at=NOW - 30.5 * MINUTE, result="failed", reason="refused"
    )
    told = [text for page in pages(town) for text in page]
    assert sorted(told) == sorted(
        [f"Noted: {n}" for n in range(2 * ROWS + 5)] + ["1 check failed: refused"]
    )


def test_a_page_of_one_moment_has_an_end() -> None:
    town = make_town()
    for number in range(5):
        history.record(town, "noted", actor=ANN, now=NOW - MINUTE, reason=str(number))
    history.record(town, "noted", actor=ANN, now=NOW - 2 * MINUTE, reason="before")
    assert [len(page) for page in pages(town, rows=2)] == [5, 1]


def test_checks_are_told_as_far_back_as_they_are_kept() -> None:
    town = make_town()
    HealthCheck.objects.bulk_create(
        HealthCheck(town=town, checked_at=NOW - (3 * n + 1) * MINUTE, result="ok")
        for n in range(CHECKS_TOLD + 100)
    )
    newest, older = (page[0].split(" ok")[0] for page in pages(town))
    assert (newest, older) == (f"{CHECKS_TOLD - 1} checks", "101 checks")


def test_an_alert_that_was_resolved_later_is_resolved_on_the_later_page_alone() -> None:
    town = make_town()
    opened, resolved = NOW - 9 * MINUTE, NOW - MINUTE
    alerts.open_alert(
        cause="disk_warning", town=town, severity="warning", message="Full.", now=opened
    )
    alerts.resolve_alerts(causes=["disk_warning"], town=town, now=resolved, resolution="freed")
    assert texts(town) == ["Full. Resolved: freed", "Full."]
    assert texts(town, NOW - 2 * MINUTE) == ["Full."]


def test_another_town_s_history_is_not_told() -> None:
    town, other = make_town(), make_town()
    history.record(other, "noted", actor=ANN, now=NOW - MINUTE)
    assert texts(town) == []
