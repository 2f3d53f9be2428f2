"""What a town may be changed to."""

from datetime import UTC, datetime, timedelta

import pytest

from towns.changes import (
    InvalidChange,
    validated_changes,
    validated_name,
    validated_region,
)

NOW = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)


def test_it_works() -> None:
    changes = validated_changes(
        now=NOW, idle_timeout_minutes=60, auto_stop=False, keep_awake_minutes=90, hold_reason="x"
    )
    assert changes == {
        "idle_timeout_minutes": 60,
        "auto_stop": False,
        "keep_awake_until": NOW + timedelta(minutes=90),
        "hold_reason": "x",
    }


def test_nothing_asked_for_changes_nothing() -> None:
    assert validated_changes(now=NOW) == {}


def test_clearing_restarts_notes_the_time() -> None:
    assert validated_changes(now=NOW, clear_restarts=True) == {"restarts_cleared_at": NOW}


@pytest.mark.parametrize("minutes", [5, 480])
def test_the_limits_of_the_idle_timeout_are_allowed(minutes: int) -> None:
    changes = validated_changes(now=NOW, idle_timeout_minutes=minutes)
    assert changes == {"idle_timeout_minutes": minutes}


@pytest.mark.parametrize("minutes", [-1, 0, 4, 481])
def test_an_idle_timeout_outside_the_limits_is_refused(minutes: int) -> None:
    with pytest.raises(InvalidChange, match="5 to 480 minutes") as caught:
        validated_changes(now=NOW, idle_timeout_minutes=minutes)
    assert caught.value.field == "idle_timeout_minutes"


@pytest.mark.parametrize("minutes", [None, 0])
def test_keep_awake_is_ended_by_null_or_0(minutes: int | None) -> None:
    assert validated_changes(now=NOW, keep_awake_minutes=minutes) == {"keep_awake_until": None}


@pytest.mark.parametrize("minutes", [-5, 7 * 24 * 60 + 1])
def test_keep_awake_minutes_outside_the_limits_are_refused(minutes: int) -> None:
    with pytest.raises(InvalidChange, match="1 to 10080 minutes"):
        validated_changes(now=NOW, keep_awake_minutes=minutes)


def test_keep_awake_until_in_the_past_is_refused() -> None:
    with pytest.raises(InvalidChange, match="That time is over"):
        validated_changes(now=NOW, keep_awake_until=NOW)


def test_keep_awake_until_without_an_offset_is_refused() -> None:
    with pytest.raises(InvalidChange, match="with its offset"):
        validated_changes(now=NOW, keep_awake_until=datetime(2026, 2, 17, 13, 0))


def test_keep_awake_until_too_far_away_is_refused() -> None:
    with pytest.raises(InvalidChange, match="at most 7 days"):
        validated_changes(now=NOW, keep_awake_until=NOW + timedelta(days=8))


def test_keep_awake_is_given_in_one_way() -> None:
    with pytest.raises(InvalidChange, match="not both"):
        validated_changes(now=NOW, keep_awake_minutes=5, keep_awake_until=None)


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_hold_is_released_by_no_reason(reason: str | None) -> None:
    assert validated_changes(now=NOW, hold_reason=reason) == {"hold_reason": ""}


def test_a_hold_reason_is_one_line() -> None:
    assert validated_changes(now=NOW, hold_reason=" a\nb ") == {"hold_reason": "a b"}


def test_a_hold_reason_has_its_length() -> None:
    with pytest.raises(InvalidChange, match="at most 200 characters"):
        validated_changes(now=NOW, hold_reason="x" * 201)


@pytest.mark.parametrize("name", ["", "-a", "A", "a" * 41, "a b", "a\n"])
def test_a_senseless_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidChange, match="1 to 40 characters"):
        validated_name(name)


def test_a_region_is_the_default_when_none_is_given() -> None:
    assert validated_region(None) == "iad"


def test_a_senseless_region_is_refused() -> None:
    with pytest.raises(InvalidChange, match="three-letter codes"):
        validated_region("Amsterdam")
