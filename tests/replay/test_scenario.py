"""The settings of a replay."""

from datetime import timedelta

import pytest
from django.test import override_settings

from towns.changes import InvalidChange
from towns.replay.scenario import EVERY, scenario_of_now, scenario_with, settables


def test_it_works() -> None:
    scenario = scenario_with(["idle_timeout_minutes=15", "GASTOWN_RESTART_LIMIT = 5"])
    assert scenario.timeout(30) == timedelta(minutes=15)
    assert scenario.timeout(45) == timedelta(minutes=45), "an own timeout stays"
    assert scenario.health.restart_limit == 5
    assert scenario.idle == scenario_of_now().idle
    assert scenario.described() == ["GASTOWN_IDLE_TIMEOUT_MINUTES=15", "GASTOWN_RESTART_LIMIT=5"]
    assert scenario_with([f"{EVERY}=15"]).timeout(45) == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("idle", "'idle' is no change; write NAME=VALUE."),
        ("IDLE=1", "IDLE can't be replayed. What can: GASTOWN_IDLE_TIMEOUT_MINUTES, EVERY_TOWN"),
        ("IDLE_TIMEOUT_MINUTES=x", "can't be 'x'; write a whole number from 5 to 480."),
        ("IDLE_TIMEOUT_MINUTES=4", "can't be '4'"),
        ("IDLE_TIMEOUT_MINUTES=-9", "can't be '-9'"),
        ("IDLE_TIMEOUT_MINUTES=1²", "can't be '1²'"),
        ("IDLE_TIMEOUT_MINUTES=", "can't be ''"),
        ("GASTOWN_BREAKER_PERCENT=101", "write a whole number from 1 to 100."),
        ("GASTOWN_FLY_API_TOKEN=1", "GASTOWN_FLY_API_TOKEN can't be replayed."),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(change: str, why: str) -> None:
    with pytest.raises(InvalidChange) as refused:
        scenario_with([change])
    assert why in str(refused.value)


def test_a_setting_is_changed_once() -> None:
    with pytest.raises(InvalidChange, match="changed twice"):
        scenario_with(["RESTART_LIMIT=4", "GASTOWN_RESTART_LIMIT=5"])


def test_each_setting_changes_just_its_rule() -> None:
    for one in settables().values():
        value = int(one.most)
        changed = scenario_with([f"{one.name}={value}"])
        assert changed != scenario_of_now(), one.name
        assert changed.breakers_changed == ("BREAKER" in one.name), one.name


@override_settings(GASTOWN_IDLE_TIMEOUT_MINUTES=20)
def test_its_present_value_changes_nothing() -> None:
    for one in settables().values():
        if one.now is not None:
            changed = scenario_with([f"{one.name}={one.now}"])
            now = scenario_of_now()
            assert (changed.idle, changed.health) == (now.idle, now.health), one.name
            assert changed.timeout(20) == timedelta(minutes=20)
