"""A sweep costs a fixed number of statements a batch, whatever it finds in it."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import make_operation, make_town
from tests.sweeps.reconcile.asking import add_volume, old_volume_name
from tests.world import World
from tests.world.things import FlyMachine
from towns import addresses
from towns.models import Orphan, Town
from towns.sweeps import listing
from towns.sweeps.reconcile import sweep_reconcile
from towns.words import OperationKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_towns(world: World) -> Callable[[int], list[Town]]:
    """Towns with their machine and volume at Fly."""

    def make(count: int) -> list[Town]:
        towns = [make_town(region="ams") for _ in range(count)]
        for town in towns:
            volume = add_volume(world, addresses.volume_name(town))
            Town.objects.filter(pk=town.pk).update(volume_id=volume.id)
            world.fly.machines[town.machine_id] = FlyMachine(
                id=town.machine_id,
                name=addresses.machine_name(town),
                region="ams",
                image=town.image,
                env={"TOWN_ID": str(town.pk)},
                metadata=addresses.machine_metadata(town),
                volume_id=volume.id,
                instance_id="",
                created_at=world.now,
                updated_at=world.now,
                state="started",
            )
        return towns

    return make


def cost(world: World) -> int:
    world.advance(180)
    with CaptureQueriesContext(connection) as captured:
        report = sweep_reconcile(world.services, slot=world.now)
    assert report.refused == ""
    return len(captured)


def test_50_towns_cost_no_more_than_5(
    world: World, make_towns: Callable[[int], list[Town]]
) -> None:
    make_towns(5)
    few = cost(world)
    for town in make_towns(45)[::2]:
        make_operation(town, OperationKind.BACKUP)
    assert cost(world) == few
    assert few <= 20, "see what was added"


def test_a_batch_is_one_statement(
    world: World, make_towns: Callable[[int], list[Town]], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_towns(20)
    whole = cost(world)
    monkeypatch.setattr(listing, "BATCH", 10)
    assert cost(world) == whole + 2


def strangers(world: World, count: int) -> Iterator[str]:
    for _ in range(count):
        yield add_volume(world, old_volume_name(Town(pk=uuid4()), 1)).id


def test_50_orphans_cost_no_more_than_5(
    world: World, make_towns: Callable[[int], list[Town]]
) -> None:
    make_towns(5)
    list(strangers(world, 5))
    cost(world)
    few = cost(world)
    list(strangers(world, 45))
    cost(world)
    assert cost(world) == few
    assert Orphan.objects.count() == 50


def test_of_their_towns_only_the_named_are_read(
    world: World, make_towns: Callable[[int], list[Town]]
) -> None:
    town, *_ = make_towns(30)
    world.advance(180)
    report = sweep_reconcile(world.services, towns=[town])
    assert report.looked_at == 1
    assert report.judged == []
