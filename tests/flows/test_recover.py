"""Disaster recovery (product.md 1.6): rebuild what is provably lost, and nothing else."""

from datetime import timedelta

import pytest
from django.test import override_settings

from tests.world import SHELL, Call, Killed, Moment, TownData, World
from tests.world.asking import RULE, ask, ask_and_settle, causes, event, newest, state
from towns import automation, budgets
from towns.flows.recover import FLOW
from towns.models import Alert, Freeze, Operation, Town
from towns.services.errors import Misconfigured, RateLimited, Rejected, Unavailable

pytestmark = pytest.mark.django_db


def failing(town: Town) -> Town:
    """The town as three failed checks leave it."""
    Town.objects.filter(pk=town.pk).update(
        episode_since=town.last_checked_at, failure_kind="unreachable", consecutive_failures=3
    )
    return town


def test_it_works(world: World) -> None:
    town = world.running_town()
    old_machine, old_volume = town.machine_id, town.volume_id
    world.lose_host(town)
    operation = ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    assert operation.state == "superseded"
    assert town.machine_id != old_machine
    assert town.volume_id != old_volume
    assert world.machine(town).region == "ams"
    assert world.marks(town) == ("first work",)
    assert town.generation == 2
    assert world.machine(town).env["GENERATION"] == "2"
    world.check()


def test_data_loss_is_told_with_the_event(world: World) -> None:
    town = world.running_town()
    world.advance(100)
    world.lose_host(town)
    lost_at, snapshot = world.now, world.snapshots(town)[0]
    Town.objects.filter(pk=town.pk).update(episode_since=lost_at)
    ask_and_settle(world, town, "restart", actor=RULE)
    data = event(town, "recover_done").data
    assert data["restored_snapshot"] == snapshot.timestamp
    assert data["data_loss_seconds"] == round((lost_at - snapshot.created_at).total_seconds())
    assert 0 < data["data_loss_seconds"] <= 300


def test_a_volume_that_exists_is_used(world: World) -> None:
    town = world.running_town()
    world.work(town, "not in any backup yet")
    volume_id = town.volume_id
    world.lose_machine(town)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    assert town.volume_id == volume_id
    assert "not in any backup yet" in world.marks(town)
    assert world.faults.count("fly.create_volume") == 1
    assert town.generation == 2


def test_nothing_lost_is_only_a_start(world: World) -> None:
    town = world.stopped_town()
    ask_and_settle(world, town, "recover")
    assert state(town) == ("running", "running")
    assert town.generation == 1
    assert world.faults.count("fly.create_machine") == 1


def test_kilo_3212_no_backup_and_no_volume_creates_nothing(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    world.r2.folders.clear()
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert "nothing was created" in town.status_reason
    assert causes(town) == {"recover_failed"}
    assert world.faults.count("fly.create_machine") == 1
    assert world.faults.count("fly.create_volume") == 1


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("HTTP 503"),
        Unavailable("time-out"),
        RateLimited("429"),
        Misconfigured("no such app"),
    ],
    ids=["5xx", "time-out", "429", "unknown-app"],
)
@pytest.mark.parametrize("call", ["fly.get_machine", "fly.get_volume", "fly.list_machines"])
def test_kilo_588_only_a_404_proves_absence(world: World, error: Exception, call: str) -> None:
    town = world.running_town()
    world.lose_machine(town)
    if call == "fly.get_volume":
        world.fly.forget_volume(town.volume_id)
    world.faults.fail(call, error, times=None)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert world.faults.count("fly.create_machine") == 1
    assert world.faults.count("fly.create_volume") == 1


def test_without_an_answer_from_r2_nothing_is_created(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    world.faults.r2_down = True
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert world.faults.count("fly.create_volume") == 1


def test_a_corrupt_snapshot_falls_back_to_the_previous_one_and_says_so(world: World) -> None:
    town = world.running_town()
    world.work(town, "second work")
    ask_and_settle(world, town, "backup")
    bad, good = world.snapshots(town)[:2]
    bad.bad_checksum = True  # its size is right: only the restore finds out
    world.lose_host(town)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    assert event(town, "recover_done").data["restored_snapshot"] == good.timestamp
    alert = Alert.objects.get(town=town, cause="corrupt_snapshot")
    assert bad.timestamp in alert.message
    assert good.timestamp in alert.message
    assert world.marks(town) == good.data.marks


def test_where_no_snapshot_is_sound_it_ends_in_error_and_nothing_is_backed_up(
    world: World,
) -> None:
    town = world.running_town()
    for snapshot in world.snapshots(town):
        snapshot.bad_checksum = True
    before = [one.timestamp for one in world.snapshots(town)]
    world.lose_host(town)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert "could not restore" in town.status_reason
    assert causes(town) == {"recover_failed"}
    world.advance(3600)
    assert [one.timestamp for one in world.snapshots(town)] == before


def test_r2_away_for_a_while_during_the_restore_is_no_failure(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    ask(world, town, "restart", actor=RULE)
    while world.record.count("started") < 2:
        world.advance(1)
        world.drive()
    world.faults.r2_down = True
    world.settle(240)
    assert state(town)[0] == "recovering"
    assert world.process(town).restore_state == "failed"
    world.faults.r2_down = False
    world.settle()
    assert state(town) == ("running", "running")
    assert world.marks(town) == ("first work",)


def test_a_restore_that_was_seen_counts_though_a_later_boot_tells_of_none(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    ask(world, town, "restart", actor=RULE)
    while world.record.count("restored") == 0:
        world.settle(1)
    world.settle(2)
    world.fly.crash(world.machine(town))  # it fell over after its restore, before it was healthy
    world.settle()
    assert state(town) == ("running", "running")
    assert world.marks(town) == ("first work",)


def test_gitpod_4671_a_lost_machine_that_comes_back_cannot_overwrite_backups(
    world: World,
) -> None:
    town = world.running_town()
    process = world.process(town)
    world.lose_machine(town, runs_on=True)
    world.fly.forget_volume(town.volume_id)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    process.work("from beyond")
    world.advance(3600)
    assert world.record.count("fenced") > 0
    assert all("from beyond" not in one.data.marks for one in world.snapshots(town))
    latest = world.r2.live(town.pk).latest
    assert latest is not None
    assert latest.generation == 2


def test_gitpod_4671_a_lost_machine_that_comes_back_does_not_take_the_new_ones_place(
    world: World,
) -> None:
    town = world.running_town()
    old = world.machine(town)
    world.lose_machine(town)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert town.generation == 2
    world.work(town, "on the new machine")
    lost = world.lose_machine(town)
    old.state, old.name = "stopped", "another"  # it came back, and was parked
    world.fly.machines[old.id] = old
    ask_and_settle(world, town, "restart", actor=RULE)
    assert (state(town)[0], town.machine_id) == ("error", lost)
    assert f"Machine {old.id} of an older generation is still there" in town.status_reason
    assert causes(town) == {"recover_failed"}
    assert old.state == "stopped"
    world.fly.forget_machine(old.id)
    ask_and_settle(world, town, "recover")
    assert state(town) == ("running", "running")
    assert "on the new machine" in world.marks(town)
    world.check()


def test_kilo_1993_a_machine_that_only_a_failed_recovery_made_is_adopted_by_the_next(
    world: World,
) -> None:
    """The generation is raised before the machine is made: an older one may be the newest."""
    town = world.running_town()
    world.lose_machine(town)
    world.faults.fail("fly.create_machine", Unavailable("lost"), moment=Moment.AFTER)

    def nothing_listed(call: Call, moment: Moment) -> None:
        if call.name == "fly.create_machine":
            world.faults.fail("fly.list_machines", Unavailable("HTTP 503"), times=None)

    world.faults.hooks.append(nothing_listed)
    ask_and_settle(world, town, "restart", actor=RULE)
    world.faults.hooks.clear()
    world.faults.clear()
    assert state(town)[0] == "error"
    Town.objects.filter(pk=town.pk).update(generation=3)  # a further try came to nothing
    ask_and_settle(world, town, "recover")
    assert state(town) == ("running", "running")
    assert list(world.fly.machines) == [town.machine_id]
    world.check()


@pytest.mark.parametrize("call", ["fly.create_volume", "fly.create_machine"])
@pytest.mark.parametrize("error", [Killed(), Unavailable("lost")], ids=["killed", "lost"])
def test_create_crash_retry_does_not_make_two(
    world: World, call: str, error: BaseException
) -> None:
    town = world.running_town()
    world.lose_host(town)
    world.faults.fail(call, error, moment=Moment.AFTER)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    assert len(world.fly.machines) == 1
    assert len(world.fly.volumes) == 1
    assert town.generation == 2


def test_a_machine_without_its_volume_is_removed_first(world: World) -> None:
    town = world.running_town()
    old = town.machine_id
    world.lose_volume(town)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    whats = [(one.what, one.subject) for one in world.record.log]
    assert whats.index(("machine destroyed", old)) < whats.index(
        ("machine created", town.machine_id)
    )
    world.check()


def test_given_up_from_backup_the_old_volume_stays_and_is_listed(world: World) -> None:
    town = world.stopped_town()
    old = town.volume_id
    world.volume(town).has_room = False
    ask_and_settle(world, town, "start")
    assert state(town)[0] == "error"
    ask_and_settle(world, town, "recover", from_backup=True)
    assert state(town) == ("running", "running")
    assert town.volume_id != old
    assert old in world.fly.volumes
    assert Alert.objects.get(town=town, cause="old_volume").data == {"volume_id": old}
    assert world.marks(town)[0] == "first work"
    world.check()


def test_kilo_3212_a_volume_that_fly_shows_and_cannot_find_is_one_recovery_then_error(
    world: World,
) -> None:
    """`getVolume` still answers for it, and create says 400 "volume not found": no loop, and no
    empty volume in its place."""
    town = world.running_town()
    volume = town.volume_id
    world.lose_machine(town)
    world.faults.fail("fly.create_machine", Rejected("Volume not found."), times=None)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert "Volume not found" in town.status_reason
    assert (town.volume_id, list(world.fly.volumes)) == (volume, [volume])
    assert town.operations.filter(kind="recover").count() == 1
    assert causes(town) == {"recover_failed"}


def test_kilo_388_one_recovery_then_error(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    world.fly.sick.add(str(town.pk))
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert town.operations.filter(kind="recover").count() == 1
    assert causes(town) == {"recover_failed"}


def test_too_many_at_once_freeze_recovery_with_one_alert(world: World) -> None:
    towns = [world.running_town(f"town-{number}") for number in range(7)]
    for town in towns:
        world.lose_machine(town)
        ask(world, town, "restart", actor=RULE)
        world.settle(30)
    statuses = [state(town)[0] for town in towns]
    assert statuses.count("running") == 5
    assert statuses.count("recovering") == 2
    assert Alert.objects.filter(cause="recovery_frozen", resolved_at=None).count() == 1
    assert "Recovery is frozen" in newest(towns[6]).message
    automation.thaw(Freeze.Scope.RECOVERY, actor=SHELL, now=world.now)
    world.settle()
    assert [state(town)[0] for town in towns] == ["running"] * 7


@override_settings(GASTOWN_RESTARTS_AT_ONCE=1)
def test_recoveries_keep_to_the_budget_of_restarts(world: World) -> None:
    towns = [world.running_town(f"town-{number}") for number in range(3)]
    for town in towns:
        world.lose_host(town)
        ask(world, town, "restart", actor=RULE)
    most = 0
    for _ in range(300):
        world.drive()
        world.advance(1)
        recoveries = Operation.objects.filter(kind="recover", state="open")
        most = max(most, recoveries.exclude(step=budgets.RECOVERY_IS_HELD).count())
    assert most == 1
    world.settle()
    assert [state(town)[0] for town in towns] == ["running"] * 3


def test_a_recovery_that_is_held_is_at_its_first_step() -> None:
    assert FLOW.steps[0].__name__ == budgets.RECOVERY_IS_HELD


def test_a_person_recovers_in_spite_of_a_freeze(world: World) -> None:
    town = world.stopped_town()
    automation.freeze(Freeze.Scope.ALL, reason="Fly has an incident", actor=SHELL, now=world.now)
    world.lose_host(town)
    ask_and_settle(world, town, "recover")
    assert state(town) == ("running", "running")


def test_kilo_1993_what_recovery_uses_is_on_the_town_at_once(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    ask(world, town, "restart", actor=RULE)
    while world.faults.count("fly.create_volume") < 2:
        world.drive()
        world.advance(1)
    town.refresh_from_db()
    assert town.volume_id in world.fly.volumes


def test_a_held_snapshot_is_not_restored(world: World) -> None:
    town = world.running_town()
    good = world.snapshots(town)[0]
    world.volume(town).data = TownData(("shrunk",), size=10)
    world.advance(world.process(town).interval + 10)
    assert world.snapshots(town)[0].held
    world.lose_host(town)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert world.marks(town) == good.data.marks


def test_a_destroy_during_recovery_takes_what_was_made_along(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    ask(world, town, "restart", actor=RULE)
    while world.faults.count("fly.create_machine") < 2:
        world.settle(1)
    ask(world, town, "destroy")
    world.settle()
    assert state(town) == ("destroyed", "destroyed")
    world.advance(600)
    assert not world.fly.machines
    assert not world.fly.volumes
    assert world.r2.retained(town.pk).snapshots
    world.check()


def test_a_destroy_after_an_unsaved_volume_leaks_none(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    ask(world, town, "restart", actor=RULE)
    world.faults.fail("fly.create_volume", Unavailable("lost"), moment=Moment.AFTER)
    while world.faults.count("fly.create_volume") < 2:
        world.drive()
        world.advance(1)
    ask(world, town, "destroy")
    world.settle()
    assert state(town) == ("destroyed", "destroyed")
    world.advance(600)
    assert not world.fly.volumes


def test_the_time_of_the_loss_is_bounded_by_the_sync_interval(world: World) -> None:
    town = world.running_town()
    world.advance(1234)
    age = world.now - world.snapshots(town)[0].created_at
    assert age <= timedelta(seconds=world.process(town).interval + world.pace.sync)
