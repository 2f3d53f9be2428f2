"""What a town may be changed to."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from towns.changes import (
    UNSET,
    InvalidChange,
    Unset,
    validated_changes,
    validated_name,
    validated_region,
    validated_window,
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
        "hold_until": None,
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
    released = {"hold_reason": "", "hold_until": None}
    assert validated_changes(now=NOW, hold_reason=reason) == released


def test_a_hold_reason_is_one_line() -> None:
    assert validated_changes(now=NOW, hold_reason=" a\nb ")["hold_reason"] == "a b"


def test_a_hold_reason_has_its_length() -> None:
    with pytest.raises(InvalidChange, match="at most 200 characters"):
        validated_changes(now=NOW, hold_reason="x" * 201)


def test_a_hold_ends_by_itself() -> None:
    until = NOW + timedelta(minutes=30)
    wanted = {"hold_reason": "x", "hold_until": until}
    assert validated_changes(now=NOW, hold_reason="x", hold_minutes=30) == wanted
    assert validated_changes(now=NOW, hold_reason="x", hold_until=until) == wanted


def test_the_end_of_a_hold_can_be_taken_away_alone() -> None:
    assert validated_changes(now=NOW, hold_until=None) == {"hold_until": None}


@pytest.mark.parametrize("reason", [None, "", UNSET])
def test_an_end_without_a_hold_is_refused(reason: str | Unset | None) -> None:
    with pytest.raises(InvalidChange, match="needs its reason"):
        validated_changes(now=NOW, hold_reason=reason, hold_minutes=5)


@pytest.mark.parametrize("minutes", [0, -1, 90 * 24 * 60 + 1])
def test_a_hold_that_ends_lasts_up_to_90_days(minutes: int) -> None:
    with pytest.raises(InvalidChange, match="from 1 to 129600"):
        validated_changes(now=NOW, hold_reason="x", hold_minutes=minutes)
    with pytest.raises(InvalidChange, match=r"time is over|at most 90 days"):
        validated_changes(now=NOW, hold_reason="x", hold_until=NOW + timedelta(minutes=minutes))


def window(**fields: Any) -> dict[str, Any]:
    values = {"scope": "fleet", "since": None, "until": NOW + timedelta(hours=1), "reason": "x"}
    return validated_window(now=NOW, **{**values, **fields})


def test_a_window_begins_now_unless_it_says_otherwise() -> None:
    assert window()["since"] == NOW
    assert window(since=NOW + timedelta(minutes=5))["since"] == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    "scope", ["fleet", "region:ams", "image:registry.test/town:1", f"town:{UUID(int=1)}"]
)
def test_the_scopes_of_a_window(scope: str) -> None:
    assert window(scope=scope)["scope"] == scope


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scope": ""}, "scope"),
        ({"scope": "fleet:all"}, "scope"),
        ({"scope": "region:"}, "scope"),
        ({"scope": "image:"}, "scope"),
        ({"scope": "town:mill"}, "scope"),
        ({"scope": "towns"}, "scope"),
        ({"until": None}, "until"),
        ({"until": NOW}, "until"),
        ({"until": NOW + timedelta(days=31)}, "until"),
        ({"until": datetime(2026, 2, 17, 13, 0)}, "until"),
        ({"since": datetime(2026, 2, 17, 12, 0)}, "since"),
        ({"since": NOW + timedelta(hours=1)}, "until"),
        ({"since": NOW + timedelta(days=367), "until": NOW + timedelta(days=368)}, "since"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
    ],
)
def test_a_senseless_window_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidChange) as caught:
        window(**fields)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["", "-a", "A", "a" * 41, "a b", "a\n"])
def test_a_senseless_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidChange, match="1 to 40 characters"):
        validated_name(name)


def test_a_region_is_the_default_when_none_is_given() -> None:
    assert validated_region(None) == "iad"


def test_a_senseless_region_is_refused() -> None:
    with pytest.raises(InvalidChange, match="three-letter codes"):
        validated_region("Amsterdam")
