"""The task and the table of reconciliation."""

import pytest
from django.core.management import call_command
from django.db import connection

from tests.factories import NOW, make_town
from tests.world import World
from towns import tasks
from towns.models import Orphan, Sweep, Town
from towns.sweeps.slots import slot_of


@pytest.mark.django_db
def test_a_task_that_is_delivered_twice_sweeps_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = world.running_town()
    world.advance(60)
    world.fly.crash(world.machine(town))
    monkeypatch.setattr(tasks, "default_services", lambda: world.services)
    assert tasks.sweep_reconcile(world.now.isoformat()) == 1
    assert tasks.sweep_reconcile(world.now.isoformat()) == 0
    sweep = Sweep.objects.get()
    assert (sweep.kind, sweep.slot) == ("reconcile", slot_of(world.now, 180))
    assert sweep.summary["actions"] == {"restart": 1}


@pytest.mark.django_db
def test_a_sweep_never_runs_over_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.running_town()
    Sweep.objects.create(kind="reconcile", slot=NOW, started_at=world.now)
    monkeypatch.setattr(tasks, "default_services", lambda: world.services)
    before = len(world.faults.calls)
    tasks.sweep_reconcile(world.now.isoformat())
    assert len(world.faults.calls) == before


@pytest.mark.django_db(transaction=True)
def test_the_migration_goes_down_and_up_with_rows_in_the_table() -> None:
    town = make_town()
    Orphan.objects.create(
        fly_id="vol_1",
        kind="volume",
        cause="old_volume",
        town=town,
        first_seen_at=NOW,
        last_seen_at=NOW,
    )
    call_command("migrate", "towns", "0006", verbosity=0)
    assert "towns_orphan" not in connection.introspection.table_names()
    call_command("migrate", "towns", verbosity=0)
    assert Orphan.objects.count() == 0
    assert Town.objects.get() == town
