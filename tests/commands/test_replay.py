"""`manage.py replay`."""

from datetime import timedelta

import pytest
from django.test import override_settings
from tqdm import tqdm

from tests.commands.conftest import Call
from tests.replay.days import Days
from tests.world import World
from towns.models import LifecycleEvent, Operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(days: Days) -> World:
    """The outside in which the days have passed."""
    return days.world


@pytest.fixture
def days() -> Days:
    """A town that was idle for 33 min and then stopped."""
    days = Days()
    days.visit()
    days.minutes(45)
    return days


def test_it_works(call: Call, days: Days) -> None:
    before = (Operation.objects.count(), LifecycleEvent.objects.count())
    ended = call("replay", "--days", "7", "--set", "GASTOWN_IDLE_TIMEOUT_MINUTES=15")
    assert ended.code == 0, ended.err
    assert "1 towns, 7 days, with GASTOWN_IDLE_TIMEOUT_MINUTES=15:" in ended.out
    assert "0.2 machine hours would have been saved, with as many wrong stops." in ended.out
    assert f"{days.towns[0]}  +0.2" in ended.out
    assert "Limit: A town that really slept has no checks meanwhile" in ended.out
    assert before == (Operation.objects.count(), LifecycleEvent.objects.count())


def test_json_has_every_figure(call: Call, days: Days) -> None:
    town = str(days.towns[0])
    found = call("replay", town, "--json", "--set", "IDLE_TIMEOUT_MINUTES=15").json
    assert (found["stops"], found["would_stop"], found["hours_saved"]) == (1, 1, 0.25)
    assert found["set"] == {"GASTOWN_IDLE_TIMEOUT_MINUTES": 15}
    assert found["money_saved"] is None
    [row] = found["towns_that_differ_most"]
    assert row["town"] == town
    assert row["would_stop"] != row["stopped"]
    assert found["use_known_since"] is not None


def test_a_named_town_is_told_of_also_when_all_is_as_it_was(call: Call, days: Days) -> None:
    town = str(days.towns[0])
    [stop] = Operation.objects.filter(kind="stop")
    told = f"as it was: stopped {stop.created_at:%m-%d %H:%M}, restarted never"
    assert told in call("replay", town).out
    assert "as it was" not in call("replay").out


@override_settings(GASTOWN_MACHINE_HOUR_PRICE=2.0)
def test_money_is_told_where_a_price_is_set(call: Call) -> None:
    ended = call("replay", "--set", "IDLE_TIMEOUT_MINUTES=15")
    assert "0.2 machine hours ($0.50) would have been saved" in ended.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--set", "SPEED=1"), "SPEED can't be replayed. What can: GASTOWN_IDLE_TIMEOUT_MINUTES"),
        (("--set", "IDLE_TIMEOUT_MINUTES=1"), "write a whole number from 5 to 480"),
        (("--days", "15"), "A replay goes back 1 to 14 days, not 15"),
        (("--days", "0"), "A replay goes back 1 to 14 days"),
        (("--days", "x"), "invalid int value"),
        (("nobody",), "There is no town nobody."),
    ],
)
def test_what_makes_no_sense_is_bad_usage(call: Call, words: tuple[str, ...], why: str) -> None:
    ended = call("replay", *words)
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err


def test_it_says_what_can_be_changed(call: Call) -> None:
    out = call("replay", "--list-settings").out
    assert "GASTOWN_FAILURES_BEFORE_RESTART" in out
    assert "failures in a row before a restart" in out


def test_a_fleet_without_checks_is_told_so(call: Call, days: Days) -> None:
    days.world.advance(timedelta(days=20).total_seconds())
    ended = call("replay", "--set", "IDLE_TIMEOUT_MINUTES=15")
    assert "No health check is recorded in these days" in ended.out
    assert "No machine hours would have been saved or lost" in ended.out


def test_a_terminal_sees_how_far_it_is(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    monkeypatch.setattr(tqdm, "update", lambda _, count=1: heard.append(count))
    assert "replay:   0%|" in call("replay", terminal=True).err
    assert heard == [1]
