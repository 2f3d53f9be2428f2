"""Orphans that may go: confirmed by staff, or left by a drill, and verified again."""

from typing import Any
from uuid import uuid4

import pytest

from tests.factories import make_town
from tests.sweeps.reconcile.asking import (
    add_volume,
    after,
    old_volume_name,
    orphan,
    sweep,
    twin_of,
)
from tests.world import World
from tests.world.asking import ask, causes, event
from tests.world.faults import Killed, Moment
from tests.world.things import FlyVolume
from towns import automation, orphans
from towns.history import Actor
from towns.models import Alert, Orphan, Town
from towns.orphans import NotConfirmable
from towns.services.errors import Conflict, Unavailable
from towns.services.r2_types import live_prefix
from towns.sweeps import clearing

pytestmark = pytest.mark.django_db
ANN = Actor("ann", user_id=None)


def confirm(world: World, fly_id: str, **more: bool) -> Orphan:
    return orphans.confirm(orphan(fly_id).pk, actor=ANN, now=world.now, **more)


def town_with_old_volume(world: World) -> tuple[Town, FlyVolume]:
    """A town that was rebuilt from its backup, and the volume that it gave up."""
    town = world.stopped_town()
    world.running_town("other")
    old = world.volume(town)
    ask(world, town, "recover", from_backup=True)
    world.settle()
    world.advance(20 * 60)
    sweep(world)
    assert orphan(old.id).state == "reported"
    town.refresh_from_db()
    return town, old


def wait_for_backup(world: World, town: Town) -> None:
    world.advance(world.process(town).interval + 60)


def test_it_works(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    assert "old_volume" not in causes(town)
    wait_for_backup(world, town)
    [cleared] = sweep(world).cleared
    assert (cleared.asked, cleared.orphan.fly_id) == (True, old.id)
    assert old.id in event(town, "orphan_destroyed").reason
    sweep(world)
    assert orphan(old.id).state == "gone"
    assert old.id not in world.fly.volumes
    assert world.volume(town).id == town.volume_id
    world.check()


def test_unconfirmed_it_stays_for_ever(world: World) -> None:
    _, old = town_with_old_volume(world)
    for _ in range(5):
        world.advance(24 * 3600)
        assert sweep(world).cleared == []
    assert old.state == "created"


def withheld(world: World, fly_id: str) -> str:
    [cleared] = sweep(world).cleared
    assert not cleared.asked
    assert orphan(fly_id).withheld == cleared.why
    assert world.fly.volumes[fly_id].state == "created"
    return cleared.why


def test_invariant_3_a_backup_made_after_the_confirmation_is_needed(world: World) -> None:
    town, old = town_with_old_volume(world)
    wait_for_backup(world, town)
    world.process(town).interval = 10_000
    wait_for_backup(world, town)
    confirm(world, old.id)
    assert "newest verified backup" in withheld(world, old.id)
    assert orphan(old.id).state == "confirmed"


def test_without_any_backup_it_is_withheld(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    folder = world.r2.live(town.pk)
    for snapshot in folder.snapshots.values():
        snapshot.missing_file = True
    world.process(town).kill()
    assert "no verified backup" in withheld(world, old.id)


def test_staff_may_discard(world: World) -> None:
    town, old = town_with_old_volume(world)
    world.process(town).kill()
    world.r2.may_lose.add(live_prefix(str(town.pk)))
    confirm(world, old.id, discard=True)
    [cleared] = sweep(world).cleared
    assert cleared.asked
    assert event(town, "orphan_confirmed").data["discard"] is True


def test_a_lost_own_volume_keeps_the_old_one(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    after(world, "fly.list_volumes", lambda: world.fly.volumes.pop(town.volume_id))
    assert "this one may be all there is" in withheld(world, old.id)


def test_an_operation_that_begins_in_between_withholds_it(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    after(world, "fly.get_volume", lambda: ask(world, town, "restart"))
    assert withheld(world, old.id) == "A restart of its town is under way and may need it."


def test_a_town_that_holds_it_by_then_withholds_it(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)

    def adopt() -> None:
        Town.objects.filter(name="other").update(volume_id=old.id)

    after(world, "fly.get_volume", adopt)
    assert "by now" in withheld(world, old.id)


def test_an_attached_volume_is_withheld(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    twin = twin_of(world, town, generation=1, state="stopped")
    twin.volume_id = old.id
    assert f"attached to machine {twin.id}" in withheld(world, old.id)


def test_a_freeze_withholds_it(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    automation.freeze("all", reason="window", actor=ANN, now=world.now)
    assert "window" in withheld(world, old.id)


def test_a_second_thought_while_the_sweep_runs_keeps_it(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)

    def keep() -> None:
        orphans.take_back(orphan(old.id).pk, actor=ANN, now=world.now)

    after(world, "fly.get_volume", keep)
    [cleared] = sweep(world).cleared
    assert (cleared.asked, old.state) == (False, "created")
    assert orphan(old.id).state == "reported"


def test_one_taken_back_after_the_last_look_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    verify = clearing._verify

    def verified(confirmed: Orphan, *rest: Any) -> None:
        verify(confirmed, *rest)
        orphans.take_back(confirmed.pk, actor=ANN, now=world.now)

    monkeypatch.setattr(clearing, "_verify", verified)
    [cleared] = sweep(world).cleared
    assert (cleared.asked, old.state) == (False, "created")
    assert orphan(old.id).state == "reported"


@pytest.mark.parametrize("error", [Unavailable("502."), Conflict("It is leased.")])
def test_kilo_3250_what_fly_refuses_is_tried_now_and_then_shown_and_alerted(
    world: World, error: Exception
) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    world.faults.fail("fly.destroy_volume", error, times=None)
    for _ in range(59):
        assert "did not do it" in withheld(world, old.id)
    assert world.faults.count("fly.destroy_volume") == 1
    world.advance(24 * 3600)
    sweep(world)
    assert world.faults.count("fly.destroy_volume") == 2
    told = Alert.objects.get(cause="orphans", resolved_at=None).message
    assert told.startswith("1 that may go are still there after a day")
    world.faults.clear()
    world.advance(3600)
    [cleared] = sweep(world).cleared
    assert cleared.asked
    sweep(world)
    assert orphan(old.id).state == "gone"
    assert not Alert.objects.filter(cause="orphans", resolved_at=None).exists()


@pytest.mark.parametrize("moment", Moment)
def test_killed_while_it_destroys_the_next_sweep_goes_on(world: World, moment: Moment) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    world.faults.fail("fly.destroy_volume", Killed(), moment=moment)
    with pytest.raises(Killed):
        sweep(world)
    world.advance(3600)
    sweep(world)
    sweep(world)
    assert orphan(old.id).state == "gone"
    events = town.events.filter(kind="orphan_destroyed")
    assert events.count() == 1
    world.check()


def test_a_dry_run_destroys_nothing(world: World) -> None:
    town, old = town_with_old_volume(world)
    confirm(world, old.id)
    wait_for_backup(world, town)
    [cleared] = sweep(world, dry_run=True).cleared
    assert (cleared.asked, old.state) == (True, "created")


def test_invariant_3_a_volume_whose_town_is_unknown_goes_only_when_its_data_is_discarded(
    world: World,
) -> None:
    """Our own database may have been restored from before the town was made."""
    world.running_town()
    stranger = make_town()
    lost = add_volume(world, old_volume_name(stranger, 1))
    stranger.delete()
    sweep(world)
    confirm(world, lost.id)
    assert "We know nothing of its town" in withheld(world, lost.id)
    confirm(world, lost.id, discard=True)
    [cleared] = sweep(world).cleared
    assert cleared.asked


def test_at_most_so_many_go_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towns.sweeps.clearing.AT_ONCE", 2)
    world.running_town()
    for _ in range(3):
        stranger = make_town()
        add_volume(world, old_volume_name(stranger, 1))
        stranger.delete()
    sweep(world)
    for row in Orphan.objects.all():
        confirm(world, row.fly_id, discard=True)
    assert [one.asked for one in sweep(world).cleared] == [True, True, False]


def test_a_machine_that_runs_is_withheld(world: World) -> None:
    town = world.running_town()
    twin = twin_of(world, town, generation=1)
    twin.metadata["gastown_town_id"] = str(uuid4())
    sweep(world)
    confirm(world, twin.id)
    [cleared] = sweep(world).cleared
    assert cleared.why == "The machine is started: stop it first."
    twin.state = "stopped"
    [cleared] = sweep(world).cleared
    assert cleared.asked


def test_a_destroyed_town_needs_its_retained_backup(world: World) -> None:
    town = world.destroyed_town()
    world.running_town("other")
    left = add_volume(world, old_volume_name(town, 1))
    world.advance(20 * 60)
    sweep(world)
    confirm(world, left.id)
    snapshots = dict(world.r2.retained(town.pk).snapshots)
    world.r2.retained(town.pk).snapshots.clear()
    assert "no verified backup of its destroyed town" in withheld(world, left.id)
    world.r2.retained(town.pk).snapshots.update(snapshots)
    [cleared] = sweep(world).cleared
    assert cleared.asked


def test_foreign_things_cannot_be_confirmed(world: World) -> None:
    world.running_town()
    foreign = add_volume(world, "somebodys_data")
    sweep(world)
    with pytest.raises(NotConfirmable, match="isn't ours"):
        confirm(world, foreign.id)
