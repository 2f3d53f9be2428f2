"""What a survey of R2 proves about a town's backups."""

from datetime import timedelta

import pytest

from tests.factories import NOW
from towns.backup_policy import BackupFacts, judge_backups, made
from towns.services.r2 import Survey, Verification

OLD, MID, NEW = "20260217T110000Z", "20260217T113000Z", "20260217T115500Z"
LIMIT = timedelta(minutes=15)
LONG_AGO = NOW - timedelta(hours=5)


def whole(name: str) -> Verification:
    return Verification(True, "", name, bytes=100, files=3, generation=1)


def facts(**more: object) -> BackupFacts:
    values: dict[str, object] = {
        "running": True,
        "awake_since": LONG_AGO,
        "backup_at": LONG_AGO,
        "recorded": MID,
        "verified": {OLD, MID},
    }
    return BackupFacts(**{**values, **more})  # type: ignore[arg-type]  # the names of its fields


def test_it_works() -> None:
    found = judge_backups(facts(), Survey(whole(NEW), None, (NEW, MID, OLD)), NOW, LIMIT)
    assert found.good == whole(NEW)
    assert (found.broken, found.stale, found.held) == ("", False, None)
    assert found.age == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("latest", "says"),
    [
        (None, "holds no latest.json of it any more"),
        (Verification(False, "it is no JSON", ""), "can't be understood: it is no JSON"),
        (Verification(False, "config.tar is missing", NEW), "not whole: config.tar is missing"),
        (whole(OLD), f"names snapshot {OLD}, but {MID} was there before"),
    ],
)
def test_what_is_broken_says_how_and_what_works(latest: Verification | None, says: str) -> None:
    found = judge_backups(facts(), Survey(latest, None, (NEW, MID, OLD)), NOW, LIMIT)
    assert says in found.broken
    assert found.good is None
    assert found.fallback == MID


def test_a_fallback_was_verified_and_is_still_there() -> None:
    broken = Verification(False, "config.tar is missing", NEW)
    assert judge_backups(facts(), Survey(broken, None, (NEW,)), NOW, LIMIT).fallback == ""
    assert judge_backups(facts(), Survey(broken, None, (NEW, OLD)), NOW, LIMIT).fallback == OLD
    found = judge_backups(facts(verified={NEW}), Survey(broken, None, (NEW, OLD)), NOW, LIMIT)
    assert found.fallback == "", "the broken one is none, and the other was never verified"


def test_a_town_that_has_no_backup_yet_is_not_broken() -> None:
    found = judge_backups(facts(recorded="", backup_at=None), Survey(None), NOW, LIMIT)
    assert found.broken == ""
    assert found.stale, "but it has run for five hours"


@pytest.mark.parametrize(
    ("minutes", "stale"), [(0, False), (14, False), (15, False), (16, True), (600, True)]
)
def test_over_fifteen_minutes_is_stale(minutes: int, stale: bool) -> None:
    name = f"{NOW - timedelta(minutes=minutes):%Y%m%dT%H%M%SZ}"
    found = judge_backups(facts(recorded=""), Survey(whole(name), None, (name,)), NOW, LIMIT)
    assert found.stale == stale


def test_it_counts_from_when_it_woke_if_that_is_later() -> None:
    survey = Survey(whole(MID), None, (MID,))
    woke = NOW - timedelta(minutes=10)
    assert not judge_backups(facts(awake_since=woke), survey, NOW, LIMIT).stale
    assert judge_backups(facts(), survey, NOW, LIMIT).stale
    assert not judge_backups(facts(running=False), survey, NOW, LIMIT).stale


def test_the_sandboxes_word_is_not_enough() -> None:
    """litestream #1164: a report of success, and nothing in the bucket."""
    found = judge_backups(facts(backup_at=NOW), Survey(whole(MID), None, (MID,)), NOW, LIMIT)
    assert found.stale
    assert found.age == timedelta(minutes=30)


def test_a_held_snapshot_is_told() -> None:
    found = judge_backups(facts(), Survey(whole(MID), whole(NEW), (NEW, MID)), NOW, LIMIT)
    assert found.held == whole(NEW)


def test_a_manifest_without_a_time_has_its_name() -> None:
    assert made(whole(NEW)).isoformat() == "2026-02-17T11:55:00+00:00"
