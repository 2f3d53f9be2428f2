"""What a restore or a recovery would bring back."""

from datetime import datetime, timedelta

import pytest

from tests.factories import NOW, make_town
from towns.models import Backup, Town
from towns.town_page.backups import ROWS, brought_back, kept, read_backups
from towns.words import Status

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def backup(minutes: float = 4, **fields: object) -> Backup:
    """One that was made so many minutes ago, and is verified."""
    at = NOW - minutes * MINUTE
    values = {"created_at": at, "verified_at": NOW, "bytes": 812_000_000}
    return Backup(**{**values, "snapshot": f"{at:%Y%m%dT%H%M%SZ}", **fields})


@pytest.mark.django_db
def test_it_works() -> None:
    town = make_town()
    for number in range(ROWS + 1):  # the shrink guard holds back whatever is made
        held = backup(number, held=True)
        held.town = town
        held.save()
    good = backup(60)
    good.town = town
    good.save()
    found = read_backups(town)
    assert (len(found.newest), found.best) == (ROWS, good)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "kind"), [(Status.DESTROYED, "retained"), (Status.RUNNING, "live")]
)
def test_the_one_that_would_be_used(status: Status, kind: str) -> None:
    town = make_town(status=status, destroyed_at=NOW if status == Status.DESTROYED else None)
    for number, where in enumerate(("live", "retained")):
        made = backup(number, kind=where)
        made.town = town
        made.save()
    best = read_backups(town).best
    assert best is not None
    assert best.kind == kind


@pytest.mark.parametrize(
    ("status", "since", "minutes", "text"),
    [
        ("running", NOW - DAY, 4, "What was written in the 4 min since would be lost."),
        ("stopped", NOW - 3 * MINUTE, 5, "in the 2 min before it stopped would be lost."),
        ("stopped", NOW - 3 * MINUTE, 2, "Nothing would be lost: it has not run since."),
        ("destroyed", NOW - 9 * MINUTE, 12, "in the 3 min before it was destroyed would be lost."),
        ("destroyed", NOW - 9 * MINUTE, 9, "It can be restored until 2026-03-19 11:51:00 UTC."),
        ("destroyed", NOW - 40 * DAY, 9, "Nothing: the time in which it could be restored ended"),
    ],
)
def test_what_would_be_lost(status: str, since: datetime, minutes: float, text: str) -> None:
    destroyed_at = since if status == Status.DESTROYED else None
    town = Town(status=status, status_since=since, destroyed_at=destroyed_at)
    assert text in brought_back(town, backup(minutes), NOW)


def test_a_town_without_a_backup_is_told_so() -> None:
    town = Town(status=Status.RUNNING)
    assert brought_back(town, None, NOW) == (
        "No verified backup is known: a recovery would bring back nothing."
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "in R2"),
        ({"gone_at": NOW - MINUTE}, "gone from R2, 1 min ago"),
        ({"held": True}, "in R2, held back: far smaller than the one before"),
        ({"held": True, "dropped_at": NOW}, "in R2, dropped by staff"),
        ({"kind": "retained"}, "retained until 2026-03-19 12:00:00 UTC"),
    ],
)
def test_where_it_is(fields: dict[str, object], text: str) -> None:
    assert kept(backup(4, **fields), Town(destroyed_at=NOW), NOW) == text
