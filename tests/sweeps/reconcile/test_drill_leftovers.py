"""What restore drills left over: destroyed without staff, as it is only a copy of a backup."""

from dataclasses import replace
from uuid import uuid4

import pytest

from tests.factories import make_operation
from tests.sweeps.reconcile.asking import add_volume, orphan, sweep, twin_of
from tests.world import World
from tests.world.things import FlyMachine
from towns import addresses, automation
from towns.history import Actor
from towns.models import Operation, Orphan, Town
from towns.words import OperationKind, OperationState

pytestmark = pytest.mark.django_db
ANN = Actor("ann")


def drill(world: World, town: Town, operation_id: str) -> FlyMachine:
    """What a restore drill makes: a machine with its mark, on a volume with a name of its own."""
    name = "d" + addresses.volume_name(town)[1:]
    volume = add_volume(world, name)
    machine = replace(
        twin_of(world, town, generation=1),
        id=f"{len(world.fly.machines) + 0xD00:014x}",
        volume_id=volume.id,
        metadata={
            **addresses.machine_metadata(town),
            addresses.DRILL_METADATA: operation_id,
        },
    )
    for other in [one for one in world.fly.machines.values() if one.name == "another"]:
        world.fly.volumes.pop(other.volume_id)
        world.fly.machines.pop(other.id)
    world.fly.machines[machine.id] = machine
    return machine


@pytest.mark.parametrize("known", [True, False])
def test_what_a_drill_left_over_is_destroyed_without_staff(world: World, known: bool) -> None:
    town = world.running_town()
    operation_id = str(uuid4())
    if known:
        ended = make_operation(
            town,
            OperationKind.BACKUP,
            state=OperationState.FAILED,
            created_at=world.now,
            due_at=world.now,
        )
        operation_id = str(ended.pk)
    machine = drill(world, town, operation_id)
    report = sweep(world)
    assert report.handled == [], "a drill's machine is no twin"
    assert [one.asked for one in report.cleared] == [True, False]
    world.advance(60)
    sweep(world)
    world.advance(60)
    sweep(world)
    assert machine.id not in world.fly.machines
    assert machine.volume_id not in world.fly.volumes
    assert set(Orphan.objects.values_list("cause", "state")) == {("drill", "gone")}
    assert town.volume_id in world.fly.volumes
    world.check()


def test_a_drill_under_way_keeps_what_it_made(world: World) -> None:
    town = world.running_town()
    operation = make_operation(town, OperationKind.BACKUP, created_at=world.now, due_at=world.now)
    machine = drill(world, town, str(operation.pk))
    report = sweep(world)
    assert report.cleared == []
    assert not Orphan.objects.exists()
    assert machine.id in world.fly.machines
    Operation.objects.update(state=OperationState.FAILED)


@pytest.mark.parametrize("name", ["data", "d", "d" + "0" * 24, "dolt_volume"])
def test_a_volume_that_is_called_d_something_is_not_a_drills(world: World, name: str) -> None:
    world.running_town()
    volume = add_volume(world, name)
    for _ in range(2):
        sweep(world)
    assert (orphan(volume.id).cause, volume.state) == ("foreign", "created")


def test_a_freeze_keeps_what_a_drill_left(world: World) -> None:
    town = world.running_town()
    drill(world, town, str(uuid4()))
    automation.freeze("all", reason="window", actor=ANN, now=world.now)
    assert [one.asked for one in sweep(world).cleared] == [False, False]
