"""Orphans: what counts as one, and that they are only reported."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import pytest

from tests.factories import make_operation, make_town
from tests.sweeps.reconcile.asking import (
    LATER,
    add_volume,
    after,
    old_volume_name,
    orphan,
    sweep,
    twin_of,
)
from tests.world import World
from tests.world.asking import ask, causes
from tests.world.faults import Killed, Moment
from towns import alerts
from towns.drift import TownRow
from towns.models import Alert, Operation, Orphan, Town
from towns.services.errors import Unavailable
from towns.sweeps import listing, orphans
from towns.sweeps.reconcile import sweep_reconcile
from towns.words import OperationKind, Status

pytestmark = pytest.mark.django_db


def volume_of_nobody(world: World, **fields: object) -> str:
    """The name says a town of ours, which no row knows."""
    stranger = make_town()
    name = old_volume_name(stranger, 1)
    stranger.delete()
    volume = add_volume(world, name)
    for key, value in fields.items():
        setattr(volume, key, value)
    return volume.id


def digest() -> Alert:
    return Alert.objects.get(cause="orphans", resolved_at=None)


def test_it_works(world: World) -> None:
    world.running_town()
    lost = volume_of_nobody(world)
    sweep(world)
    row = orphan(lost)
    assert (row.kind, row.cause, row.state, row.town) == ("volume", "no_town", "reported", None)
    assert (row.region, row.size_gb, row.first_seen_at) == ("ams", 50, world.now)
    assert row.made_at == world.now - timedelta(seconds=3660)
    assert "which is unknown" in row.reason
    assert row.withheld == "Nobody has confirmed that it may go."
    assert digest().data == {"orphans": 1, "size_gb": 50, "stuck": 0}
    assert digest().message.startswith("1 orphans at Fly, 50 GB of volumes.")
    assert lost in digest().message


def test_kilo_3403_the_report_gives_the_reason_for_each_that_it_withholds(world: World) -> None:
    busy, living = world.running_town("busy"), world.running_town("living")
    Town.objects.update(generation=2)
    young = add_volume(world, old_volume_name(living, 1), age=60)
    in_use = add_volume(world, old_volume_name(busy, 1))
    foreign = add_volume(world, "somebodys_data")
    make_operation(busy, OperationKind.BACKUP, created_at=world.now, due_at=world.now)
    report = sweep(world)
    reasons = {one.thing.id: one.verdict.reason for one in report.judged}
    assert reasons == {
        young.id: "it is younger than 15 min",
        in_use.id: "the backup of ada/busy may be using it",
        foreign.id: "It carries no mark of ours: it is never touched.",
    }
    assert [one.fly_id for one in Orphan.objects.all()] == [foreign.id]
    assert orphan(foreign.id).withheld == "It isn't ours: it is never touched."
    assert not Alert.objects.filter(cause="orphans").exists()


@pytest.mark.parametrize("moment", range(0, 40, 2))
def test_kilo_1993_what_an_operation_holds_is_no_orphan(world: World, moment: int) -> None:
    """Whenever the sweep comes in the course of a recovery, and however old its things look."""
    town = world.running_town()
    world.running_town("other")
    world.lose_host(town)
    ask(world, town, "restart")
    world.settle(moment)
    for volume in world.fly.volumes.values():
        volume.created_at -= timedelta(days=1)
    for machine in world.fly.machines.values():
        machine.created_at -= timedelta(days=1)
    sweep_reconcile(world.services, slot=world.now)
    assert not Orphan.objects.exists()
    world.settle()
    sweep(world)
    assert not Orphan.objects.exists()


def test_kilo_1993_what_was_created_but_not_saved_is_no_orphan(world: World) -> None:
    town = world.running_town()
    world.running_town("other")
    world.lose_host(town)
    ask(world, town, "restart")
    world.faults.fail("fly.create_volume", Killed(), moment=Moment.AFTER)
    world.settle(5)
    [made] = [one for one in world.fly.volumes.values() if one.name == old_volume_name(town, 2)]
    made.created_at -= timedelta(days=1)
    sweep_reconcile(world.services, slot=world.now)
    assert not Orphan.objects.exists()
    world.settle()
    town.refresh_from_db()
    assert (town.status, town.volume_id) == ("running", made.id)


def test_what_is_created_between_lists_and_rows_is_no_orphan(world: World) -> None:
    after(world, "fly.list_volumes", lambda: world.running_town("born meanwhile"))
    world.running_town()
    sweep(world)
    assert not Orphan.objects.exists()


def test_what_is_saved_between_lists_and_rows_is_no_orphan(world: World) -> None:
    """The row is read after the list, so that it says whose the volume is."""
    town = world.running_town()
    spare = add_volume(world, old_volume_name(town, 2))

    def save() -> None:
        Town.objects.filter(pk=town.pk).update(generation=2, volume_id=spare.id)

    after(world, "fly.list_volumes", save)
    report = sweep(world)
    assert spare.id not in [one.thing.id for one in report.judged]


def test_who_comes_to_own_it_while_the_rows_are_read_holds_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = world.running_town()
    Town.objects.update(generation=2)
    spare = add_volume(world, old_volume_name(town, 1))

    def rows_of(ids: Iterable[UUID]) -> dict[UUID, TownRow]:
        Town.objects.update(volume_id=spare.id)
        return listing.rows_of(ids)

    monkeypatch.setattr(orphans, "rows_of", rows_of)
    assert sweep(world).judged == []


def test_a_volume_that_a_towns_own_machine_mounts_is_no_orphan(world: World) -> None:
    town = world.running_town()
    Town.objects.update(generation=2)
    mounted = add_volume(world, old_volume_name(town, 1))
    world.machine(town).volume_id = mounted.id
    [judged] = sweep(world).judged
    assert judged.verdict.reason == f"it is attached to a town's machine, {town.machine_id}"
    assert not Orphan.objects.exists()


def test_an_old_volume_of_a_living_town_has_its_generation_told(world: World) -> None:
    town = world.running_town()
    Town.objects.update(generation=3)
    old = add_volume(world, old_volume_name(town, 1))
    sweep(world)
    row = orphan(old.id)
    assert (row.cause, row.town) == ("old_volume", town)
    assert row.reason.startswith("Old volume of generation 1; ada/alpha is at generation 3")


def test_the_volume_given_up_for_a_backup_is_listed(world: World) -> None:
    town = world.running_town()
    old = town.volume_id
    ask(world, town, "stop")
    world.settle()
    ask(world, town, "recover", from_backup=True)
    world.settle()
    assert "old_volume" in causes(town)
    world.advance(LATER)
    sweep(world)
    assert orphan(old).cause == "old_volume"
    assert "old_volume" in causes(town)
    world.fly.forget_volume(old)
    sweep(world)
    assert orphan(old).state == "gone"
    assert "old_volume" not in causes(town)


def test_an_old_volume_destroyed_at_fly_before_it_was_listed_closes_its_alert(
    world: World,
) -> None:
    town = world.stopped_town()
    old = town.volume_id
    ask(world, town, "recover", from_backup=True)
    world.settle()
    assert "old_volume" in causes(town)
    world.faults.fail("fly.get_volume", Unavailable("502."))
    world.fly.volumes.pop(old)
    sweep(world)
    assert "old_volume" in causes(town), "only a 404 proves it"
    sweep(world)
    assert "old_volume" not in causes(town)


def test_the_alert_about_old_volumes_stays_while_one_is_undecided(world: World) -> None:
    town = world.running_town()
    Town.objects.update(generation=3)
    old = [add_volume(world, old_volume_name(town, generation)) for generation in (1, 2)]
    alerts.open_alert(
        cause="old_volume", town=town, severity="warning", message="one is left", now=world.now
    )
    sweep(world)
    for volume, expected in zip(old, ({"old_volume"}, set()), strict=True):
        world.fly.forget_volume(volume.id)
        sweep(world)
        assert causes(town) == expected


def test_what_a_destroy_left_behind_is_an_orphan_once_it_has_rested(world: World) -> None:
    town = world.running_town()
    kept = dict(world.fly.machines), dict(world.fly.volumes)
    ask(world, town, "destroy")
    world.settle()
    world.advance(120)
    world.fly.machines.update(kept[0])
    world.fly.volumes.update(kept[1])
    for machine in kept[0].values():
        machine.state = "stopped"
    for volume in kept[1].values():
        volume.state = "created"
    sweep(world)
    assert not Orphan.objects.exists(), "the list may only be late"
    world.advance(LATER)
    sweep(world)
    assert set(Orphan.objects.values_list("kind", "cause")) == {
        ("machine", "destroyed_town"),
        ("volume", "destroyed_town"),
    }


def test_a_machine_of_no_town_is_reported(world: World) -> None:
    town = world.running_town()
    twin = twin_of(world, town, generation=1, state="stopped")
    twin.metadata["gastown_town_id"] = "00000000-0000-0000-0000-000000000001"
    sweep(world)
    assert orphan(twin.id).cause == "no_town"


def test_things_of_others_are_never_touched(world: World) -> None:
    town = world.running_town()
    twin = twin_of(world, town, generation=1, state="stopped")
    twin.metadata.clear()
    for _ in range(3):
        sweep(world)
    assert orphan(twin.id).cause == "foreign"
    assert twin.id in world.fly.machines
    assert Alert.objects.filter(cause="orphans").count() == 1, "its volume is named as ours"


def test_only_a_404_makes_an_orphan_gone(world: World) -> None:
    world.running_town()
    lost = volume_of_nobody(world)
    sweep(world)
    world.fly.forget_volume(lost)
    world.faults.fail("fly.get_volume", Unavailable("502."))
    sweep(world)
    assert orphan(lost).state == "reported"
    sweep(world)
    row = orphan(lost)
    assert (row.state, row.ended_at) == ("gone", world.now)
    assert not Alert.objects.filter(cause="orphans", resolved_at=None).exists()


def test_one_that_a_town_holds_after_all_is_cleared(world: World) -> None:
    town = world.running_town()
    Town.objects.update(generation=2)
    old = add_volume(world, old_volume_name(town, 1))
    sweep(world)
    assert orphan(old.id).state == "reported"
    Town.objects.update(volume_id=old.id)
    sweep(world)
    assert orphan(old.id).state == "cleared"
    Town.objects.update(volume_id=town.volume_id)
    sweep(world)
    assert orphan(old.id).state == "reported"


def test_one_is_known_by_its_first_sight(world: World) -> None:
    world.running_town()
    lost = volume_of_nobody(world)
    sweep(world)
    first = world.now
    sweep(world)
    row = orphan(lost)
    assert (row.first_seen_at, row.last_seen_at) == (first, world.now)
    assert Alert.objects.filter(cause="orphans").count() == 1


def test_named_towns_are_just_those(world: World) -> None:
    town, other = world.running_town("alpha"), world.running_town("beta")
    Town.objects.update(generation=2)
    mine = add_volume(world, old_volume_name(town, 1))
    add_volume(world, old_volume_name(other, 1))
    volume_of_nobody(world)
    world.advance(60)
    sweep_reconcile(world.services, towns=[town])
    assert [one.fly_id for one in Orphan.objects.all()] == [mine.id]


def test_a_dry_run_writes_nothing(world: World) -> None:
    world.running_town()
    lost = volume_of_nobody(world)
    report = sweep(world, dry_run=True)
    assert [one.thing.id for one in report.judged if one.is_orphan] == [lost]
    assert not Orphan.objects.exists()
    assert not Alert.objects.exists()


def test_a_town_that_is_being_restored_holds_its_things(world: World) -> None:
    town = world.destroyed_town()
    world.running_town("other")
    ask(world, town, "restore")
    world.settle(4)
    assert Town.objects.get(pk=town.pk).status == Status.RESTORING
    for volume in world.fly.volumes.values():
        volume.created_at -= timedelta(days=1)
    sweep_reconcile(world.services, slot=world.now)
    assert not Orphan.objects.exists()
    assert Operation.objects.filter(kind=OperationKind.RESTORE).exists()
