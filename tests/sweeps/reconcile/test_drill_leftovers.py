"""What restore drills left over: destroyed without staff, as it is only a copy of a backup."""

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.flows.drills import backed_up, under_way
from tests.sweeps.reconcile.asking import LATER, add_volume, orphan, sweep
from tests.world import World
from tests.world.asking import causes
from tests.world.things import FlyMachine
from towns import addresses, automation
from towns.history import Actor
from towns.models import Drill, Operation, Orphan, Town

pytestmark = pytest.mark.django_db
ANN = Actor("ann")


def forget(world: World, drill: Drill) -> None:
    """Have what it made be that of a drill of which the database has never heard: it was restored
    from an older backup, say."""
    [machine] = world.fly.drills()
    volume, unknown = world.fly.volumes[drill.volume_id], uuid4()
    machine.name = addresses.drill_machine_name(unknown)
    machine.metadata[addresses.DRILL_METADATA] = str(unknown)
    volume.name = addresses.drill_volume_name(unknown)
    Operation.objects.filter(pk=drill.pk).update(state="failed")


def left_by_a_drill(world: World, town: Town) -> FlyMachine:
    """The machine of a drill whose row is gone, older than the grace time."""
    drill = under_way(world, town)
    forget(world, drill)
    world.advance(LATER)
    [machine] = world.fly.drills()
    return machine


@pytest.mark.parametrize("known", [True, False])
def test_what_a_drill_left_over_is_destroyed_without_staff(world: World, known: bool) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    if known:
        Operation.objects.filter(pk=drill.pk).update(state="failed")
    else:
        forget(world, drill)
    world.advance(LATER)
    [machine] = world.fly.drills()
    report = sweep(world)
    assert report.handled == [], "a drill's machine is no twin"
    assert [one.asked for one in report.cleared] == [True, False], "first what it is attached to"
    for _ in range(2):
        sweep(world)
    assert machine.id not in world.fly.machines
    assert list(world.fly.volumes) == [town.volume_id]
    assert set(Orphan.objects.values_list("cause", "state")) == {("drill", "gone")}
    assert causes(town) == set()
    world.check()


def test_a_drill_under_way_keeps_what_it_made(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    for machine in world.fly.machines.values():
        machine.created_at -= timedelta(days=1)
    for volume in world.fly.volumes.values():
        volume.created_at -= timedelta(days=1)
    report = sweep(world)
    assert (report.handled, report.cleared) == ([], [])
    assert not Orphan.objects.exists()
    assert drill.machine_id in world.fly.machines


def test_its_name_tells_whose_it_is_while_fly_knows_only_that(world: World) -> None:
    """Of a machine on a host that does not answer Fly may not know the metadata."""
    machine = left_by_a_drill(world, backed_up(world))
    machine.metadata.clear()
    sweep(world)
    assert orphan(machine.id).cause == "drill"


@pytest.mark.parametrize("mark", ["", "yes", "somebody-elses"])
def test_a_mark_that_names_no_drill_is_none_of_ours(world: World, mark: str) -> None:
    machine = left_by_a_drill(world, backed_up(world))
    machine.metadata[addresses.DRILL_METADATA] = mark
    machine.name = "gastown-drill-for-the-fire-brigade"
    for _ in range(2):
        sweep(world)
    assert orphan(machine.id).cause == "foreign"
    assert machine.id in world.fly.machines


@pytest.mark.parametrize("name", ["data", "d", "d" + "0" * 24, "dolt_volume", "d" + "z" * 25])
def test_a_volume_that_is_called_d_something_is_not_a_drills(world: World, name: str) -> None:
    world.running_town()
    volume = add_volume(world, name)
    for _ in range(2):
        sweep(world)
    assert (orphan(volume.id).cause, volume.state) == ("foreign", "created")


def test_a_freeze_keeps_what_a_drill_left(world: World) -> None:
    left_by_a_drill(world, backed_up(world))
    automation.freeze("all", reason="window", actor=ANN, now=world.now)
    assert [one.asked for one in sweep(world).cleared] == [False, False]
