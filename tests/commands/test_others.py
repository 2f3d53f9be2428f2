"""The other commands."""

from datetime import timedelta

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone

from tests.commands.conftest import Call
from tests.factories import make_town
from tests.world import World
from towns import automation
from towns.management.base import OpsCommand
from towns.management.commands import prune_history
from towns.models import HealthCheck, Operation, Sweep, Town
from towns.words import Status

pytestmark = pytest.mark.django_db


def test_sweep_health_sweeps_the_slot_once(call: Call, world: World) -> None:
    town = world.running_town()
    ended = call("sweep_health", "--json")
    assert (ended.code, ended.json["results"]) == (0, {"ok": 1})
    assert HealthCheck.objects.filter(town=town, slot__isnull=False).count() == 1
    assert "swept already" in call("sweep_health").out


def test_sweep_health_by_name_asks_at_once(call: Call, world: World) -> None:
    town = world.running_town()
    for _ in range(2):
        ended = call("sweep_health", str(town), "--json")
        assert ended.json["towns"][0]["result"] == "ok"


def test_sweep_health_exits_with_1_if_a_town_could_not_be_asked(call: Call, world: World) -> None:
    town = world.running_town()
    world.faults.fly_down = world.faults.r2_down = True
    world.lose_machine(town)
    ended = call("sweep_health", str(town))
    assert ended.code == 1
    assert "1 towns could not be asked" in ended.err


def test_sweep_health_dry_run_stores_nothing(call: Call, world: World) -> None:
    world.running_town()
    before = HealthCheck.objects.count()
    assert call("sweep_health", "--dry-run", "--json").json["results"] == {"ok": 1}
    assert HealthCheck.objects.count() == before


def test_sweep_health_of_nobody(call: Call) -> None:
    assert call("sweep_health").out == "No town is awake: nobody was asked.\n"


def test_sweep_idle_says_what_holds_a_town(call: Call, world: World) -> None:
    town = world.running_town()
    ended = call("sweep_idle", str(town))
    assert f"{town} stays awake: interaction, until" in ended.out


def test_sweep_idle_dry_run_stops_nobody(call: Call, world: World) -> None:
    long_ago = world.now - timedelta(hours=3)
    make_town(
        last_interaction_at=long_ago,
        awake_since=long_ago,
        last_checked_at=world.now,
        last_result="ok",
        health={"polecats_active": 0},
    )
    assert call("sweep_idle", "--dry-run", "--json").json["stopped"] == 1
    assert not Operation.objects.exists()
    assert call("sweep_idle", "--json").json["stopped"] == 1
    assert Town.objects.get().status == Status.STOPPING


def test_setup_schedules_again_changes_nothing(call: Call) -> None:
    assert call("setup_schedules", "--json").json["set_up"] == []


def test_run_operations_returns_when_nothing_is_due(call: Call) -> None:
    assert call("run_operations", "--until-idle", "0", "--json").json == {"worked_on": 0}


def test_automation_is_frozen_and_thawed(call: Call) -> None:
    assert "no freeze" in call("automation", "status").out
    found = call("automation", "freeze", "--reason", "window", "--minutes", "5", "--json").json
    assert found["freezes"][0]["reason"] == "window"
    assert automation.frozen(timezone.now()) is not None
    assert "frozen: all, by shell" in call("automation", "status").out
    call("automation", "thaw")
    assert automation.frozen(timezone.now()) is None
    assert call("automation", "freeze").code == 2
    assert call("automation", "freeze", "--reason", "x", "--minutes", "-1").code == 2


def test_setup_r2_is_idempotent(call: Call) -> None:
    with override_settings(GASTOWN_RETENTION_DAYS=7):
        assert call("setup_r2", "--json").json["changed"] is True
        assert call("setup_r2", "--json").json["changed"] is False


def test_prune_history_removes_what_is_old(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_history, "BATCH", 2)
    town, now = make_town(), timezone.now()
    for days in (0, 1, 15, 16, 17):
        HealthCheck.objects.create(town=town, checked_at=now - timedelta(days=days), result="ok")
    old = now - timedelta(days=20)
    Sweep.objects.create(kind="health", slot=old, started_at=old, finished_at=old)
    assert call("prune_history", "--dry-run", "--json").json["health_checks"] == 3
    assert HealthCheck.objects.count() == 5
    found = call("prune_history", "--json").json
    assert (found["health_checks"], found["sweeps"]) == (3, 1)
    assert HealthCheck.objects.count() == 2


def test_a_senseless_setting_is_one_clear_line(call: Call) -> None:
    with override_settings(GASTOWN_RESTARTS_AT_ONCE=0):
        ended = call("sweep_health")
    assert ended.code == 1
    assert ended.err == "GASTOWN_RESTARTS_AT_ONCE is 0; write a number from 1 to 100000.\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OperationalError("could not connect\nmore"), 1, "The database can't be used: could not"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (RuntimeError("odd"), 1, "RuntimeError: odd (--traceback tells where)"),
        (CommandError("no", returncode=2), 2, "no"),
    ],
)
def test_whatever_happens_is_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    from towns.management.commands import setup_schedules

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(setup_schedules.Command, "handle", fail)
    ended = call("setup_schedules")
    assert ended.code == code
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith(line)


def test_all_our_commands_are_of_this_kind() -> None:
    from importlib import import_module
    from pkgutil import iter_modules

    from towns.management import commands

    for module in iter_modules(commands.__path__):
        if module.name != "demo":
            found = import_module(f"towns.management.commands.{module.name}")
            assert issubclass(found.Command, OpsCommand), module.name
