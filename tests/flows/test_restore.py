"""Restore (product.md 1.5): within its 30 days a destroyed town comes back."""

import pytest

from tests.world import Moment, World
from tests.world.asking import ask, ask_and_settle, causes, event, newest, state
from towns import actions
from towns.models import Backup
from towns.services.errors import CapacityError, Unavailable

pytestmark = pytest.mark.django_db
DAY = 24 * 60 * 60


def test_it_works(world: World) -> None:
    town = world.destroyed_town()
    town_id, name = town.pk, town.name
    ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert (town.pk, town.name, town.destroyed_at) == (town_id, name, None)
    assert world.marks(town) == ("first work", "gt down")
    assert town.generation == 2
    assert not world.r2.retained(town.pk).snapshots
    assert Backup.objects.get(town=town, kind="retained").gone_at is not None
    assert event(town, "restore_done").from_status == "restoring"
    world.check()


def test_its_history_stays(world: World) -> None:
    town = world.destroyed_town()
    before = set(town.events.values_list("id", flat=True))
    ask_and_settle(world, town, "restore")
    assert before < set(town.events.values_list("id", flat=True))


def test_the_retained_copy_goes_only_once_the_town_runs(world: World) -> None:
    town = world.destroyed_town()
    ask(world, town, "restore")
    while world.record.count("restored") == 0:
        assert world.r2.retained(town.pk).snapshots
        world.settle(1)
    world.settle()
    whats = world.record.whats()
    assert whats.index("restored") < len(whats) - 1 - whats[::-1].index("emptied")


def test_after_thirty_days_the_answer_is_expired(world: World) -> None:
    town = world.destroyed_town()
    world.advance(30 * DAY)
    with pytest.raises(actions.NotAllowed, match="its backup expired on 2026-03-19"):
        ask(world, town, "restore")
    assert state(town) == ("destroyed", "destroyed")


def test_coder_6166_on_its_last_day_a_destroyed_town_comes_back(world: World) -> None:
    """A destroy has its way back for 30 days."""
    town = world.destroyed_town()
    world.advance(30 * DAY - 3600)
    ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert "first work" in world.marks(town)


def test_a_backup_that_is_gone_early_is_said_and_nothing_is_made(world: World) -> None:
    town = world.destroyed_town()
    world.r2.retained(town.pk).snapshots.clear()
    ask_and_settle(world, town, "restore")
    assert state(town) == ("destroyed", "destroyed")
    assert "expired" in event(town, "restore_failed").reason
    assert world.faults.count("fly.create_machine") == 1


def test_one_that_fails_ends_destroyed_with_nothing_lost_and_can_be_tried_again(
    world: World,
) -> None:
    town = world.destroyed_town()
    world.fly.sick.add(str(town.pk))
    ask_and_settle(world, town, "restore")
    assert state(town) == ("destroyed", "destroyed")
    assert town.destroyed_at is not None
    assert causes(town) == {"restore_failed"}
    assert world.r2.retained(town.pk).snapshots
    world.advance(120)
    assert not world.fly.machines
    assert not world.fly.volumes
    world.fly.sick.clear()
    ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert world.marks(town)[0] == "first work"
    assert causes(town) == set()
    world.check()


def test_one_that_fails_leaves_no_copy_behind_that_never_expires(world: World) -> None:
    town = world.destroyed_town()
    world.fly.sick.add(str(town.pk))
    ask_and_settle(world, town, "restore")
    assert state(town)[0] == "destroyed"
    assert not world.r2.live(town.pk).snapshots
    assert world.r2.retained(town.pk).snapshots
    assert not Backup.objects.filter(town=town, kind="live", gone_at=None).exists()


def test_one_that_fails_keeps_the_copy_when_the_retained_one_expired_meanwhile(
    world: World,
) -> None:
    town = world.destroyed_town()
    world.fly.sick.add(str(town.pk))
    ask(world, town, "restore")
    world.settle(60)
    world.r2.retained(town.pk).snapshots.clear()
    world.settle()
    assert state(town)[0] == "destroyed"
    assert world.r2.live(town.pk).snapshots
    world.check()


def test_no_room_is_tried_again(world: World) -> None:
    town = world.destroyed_town()
    world.faults.fail("fly.create_volume", CapacityError("No room in ams."), times=3)
    ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")


def test_a_lost_answer_makes_no_twin(world: World) -> None:
    town = world.destroyed_town()
    world.faults.fail("fly.create_*", Unavailable("lost"), moment=Moment.AFTER, times=2)
    ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert len(world.fly.machines_of(town.pk)) == 1
    assert len(world.fly.volumes) == 1


def test_while_another_town_has_its_name_it_is_refused(world: World) -> None:
    town = world.destroyed_town("alpha")
    world.create_town("alpha")
    with pytest.raises(actions.NotAllowed, match="another town of its owner has that name"):
        ask(world, town, "restore")


def test_its_name_is_not_given_away_while_it_is_restored(world: World) -> None:
    town = world.destroyed_town("alpha")
    ask(world, town, "restore")
    with pytest.raises(actions.NotAllowed, match="already has a town named alpha"):
        world.create_town("alpha")


def test_once_it_runs_a_late_failure_of_r2_undoes_nothing(world: World) -> None:
    town = world.destroyed_town()
    world.faults.fail("r2.empty", Unavailable("R2 did not answer."), times=None)
    ask(world, town, "restore")
    world.settle(60)
    world.process(town).mute = True  # a hiccup, just when the deadline is over
    world.settle()
    assert state(town) == ("running", "running")
    assert world.marks(town)[0] == "first work"
    world.check()


def test_destroy_during_a_restore_follows_it(world: World) -> None:
    town = world.destroyed_town()
    ask(world, town, "restore")
    world.drive()
    assert "once its restore has ended" in ask(world, town, "destroy").note
    world.settle()
    assert state(town) == ("destroyed", "destroyed")
    assert newest(town).kind == "destroy"
    assert world.r2.retained(town.pk).snapshots
    world.check()


def test_a_restored_town_can_be_destroyed_and_restored_again(world: World) -> None:
    town = world.destroyed_town()
    ask_and_settle(world, town, "restore")
    world.work(town, "second life")
    ask_and_settle(world, town, "destroy")
    ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert "second life" in world.marks(town)
    assert town.generation == 3
    world.check()
