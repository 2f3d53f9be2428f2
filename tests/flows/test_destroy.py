"""Destroy (product.md 1.5)."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.world import Call, Killed, Moment, World
from tests.world.asking import RULE, ask, ask_and_settle, causes, event, newest, state
from towns import history
from towns.flows import engine
from towns.flows.outcome import Flow
from towns.flows.run import Run
from towns.models import Alert, Backup, Town
from towns.services.errors import Unavailable
from towns.services.r2 import live_prefix, retained_prefix
from towns.words import Status

pytestmark = pytest.mark.django_db
DAY = 24 * 60 * 60


def nothing_is_left_at_fly(world: World) -> bool:
    world.advance(120)
    return not world.fly.machines and not world.fly.volumes


def rot_before_the_copy(world: World, town: Town) -> None:
    """All that is in R2 of it then is corrupt; what is made later is sound."""

    def rot(call: Call, moment: Moment) -> None:
        if call.name == "r2.copy_snapshot" and moment == Moment.BEFORE:
            world.faults.hooks.remove(rot)
            for snapshot in world.snapshots(town):
                snapshot.bad_checksum = True

    world.faults.hooks.append(rot)


def test_it_works(world: World) -> None:
    town = world.running_town()
    world.work(town, "last work")
    operation = ask_and_settle(world, town, "destroy")
    assert state(town) == ("destroyed", "destroyed")
    assert operation.state == "succeeded"
    assert town.destroyed_at is not None
    assert (town.machine_id, town.volume_id) == ("", "")
    [kept] = world.r2.retained(town.pk).snapshots.values()
    assert kept.data.marks == ("first work", "last work", "gt down")
    assert not world.r2.live(town.pk).snapshots
    assert nothing_is_left_at_fly(world)
    world.check()


def test_its_steps_come_in_order(world: World) -> None:
    town = world.running_town()
    began = len(world.record.log)
    ask_and_settle(world, town, "destroy")
    happened = [what for what in world.record.whats()[began:] if what != "pointer"]
    assert happened == [
        "snapshot",
        "sigterm",
        "gt down",
        "snapshot",
        "stopped",
        "copied",
        "emptied",
        "machine destroyed",
        "volume destroyed",
        "volume gone",
    ]


def test_the_soft_delete_comes_before_the_machine_is_stopped(world: World) -> None:
    town = world.running_town()
    ask(world, town, "destroy")
    while world.faults.count("fly.stop_machine") == 0:
        world.settle(1)
    town.refresh_from_db()
    assert town.destroyed_at is not None
    assert town.status == "destroying"
    assert event(town, "soft_deleted").at == town.destroyed_at


def test_the_name_is_free_at_once(world: World) -> None:
    town = world.running_town("alpha")
    ask(world, town, "destroy")
    while world.faults.count("fly.stop_machine") == 0:
        world.settle(1)
    again = world.create_town("alpha")
    world.settle()
    assert state(again)[0] == "running"
    assert state(town)[0] == "destroyed"


def test_the_backup_is_kept_thirty_days_from_the_destroy(world: World) -> None:
    town = world.destroyed_town()
    assert Backup.objects.get(town=town, kind="retained").gone_at is None
    assert not Backup.objects.filter(town=town, kind="live", gone_at=None).exists()
    world.advance(29 * DAY)
    assert world.r2.retained(town.pk).snapshots
    world.advance(DAY)
    assert not world.r2.retained(town.pk).snapshots


def test_coder_6166_without_a_verified_backup_nothing_is_destroyed(world: World) -> None:
    town = world.running_town()
    world.faults.fail("sandbox.request_sync", Unavailable("HTTP 503"), times=None)
    operation = ask_and_settle(world, town, "destroy")
    assert operation.state == "failed"
    assert state(town) == ("running", "running")
    assert "Nothing was destroyed" in event(town, "destroy_failed").reason
    assert town.destroyed_at is None
    assert world.machine(town).state == "started"
    assert causes(town) == {"destroy_failed"}
    world.check()


def test_an_incomplete_snapshot_is_no_backup(world: World) -> None:
    town = world.running_town()
    world.process(town).generation = 0  # it moves no pointer
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "running"
    assert town.volume_id in world.fly.volumes


def test_a_sync_that_fails_once_is_tried_again(world: World) -> None:
    town = world.running_town()
    world.faults.fail("sandbox.request_sync", Unavailable("HTTP 503"), times=4)
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"


def test_staff_may_discard_the_data(world: World) -> None:
    town = world.running_town()
    world.process(town).mute = True
    world.allow_discard(town)
    ask_and_settle(world, town, "destroy", discard=True)
    assert state(town)[0] == "destroyed"
    assert world.faults.count("sandbox.request_sync") == 0
    assert nothing_is_left_at_fly(world)


def test_staff_may_discard_while_it_is_under_way(world: World) -> None:
    town = world.running_town()
    world.process(town).mute = True
    world.allow_discard(town)
    operation = ask(world, town, "destroy").operation
    world.settle(30)
    assert ask(world, town, "destroy", discard=True).operation == operation
    world.settle()
    assert state(town)[0] == "destroyed"
    assert event(town, "discard").operation == operation


def test_discard_gets_past_a_snapshot_that_cannot_be_copied(world: World) -> None:
    town = world.running_town()
    ask(world, town, "destroy")
    while world.record.count("sigterm") == 0:
        world.settle(1)
    world.faults.r2_down = True  # so that the last sync doesn't come
    world.settle(10)
    world.faults.r2_down = False
    world.lose_host(town)
    for snapshot in world.snapshots(town):
        snapshot.bad_checksum = True
    world.settle(600)
    assert state(town)[0] == "destroying"
    assert "R2 holds no verified backup of it" in newest(town).message
    world.allow_discard(town)
    ask(world, town, "destroy", discard=True)
    world.settle()
    assert state(town)[0] == "destroyed"


def test_a_stopped_town_is_destroyed_from_the_snapshot_of_its_stop(world: World) -> None:
    town = world.stopped_town()
    last = world.snapshots(town)[0]
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    assert list(world.r2.retained(town.pk).snapshots) == [last.timestamp]
    assert world.record.count("started") == 1
    assert nothing_is_left_at_fly(world)
    world.check()


def test_a_town_that_was_stopped_without_a_snapshot_is_started_for_one(world: World) -> None:
    town = world.running_town()
    world.work(town, "late work")
    world.faults.r2_down = True
    ask_and_settle(world, town, "stop")
    world.faults.clear()
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    assert world.record.count("started") == 2
    [kept] = world.r2.retained(town.pk).snapshots.values()
    assert "late work" in kept.data.marks
    world.check()


def test_a_stopped_town_whose_destroy_fails_sleeps_again(world: World) -> None:
    town = world.running_town()
    world.faults.r2_down = True
    ask_and_settle(world, town, "stop")
    world.faults.clear()
    world.faults.fail("sandbox.request_sync", Unavailable("HTTP 503"), times=None)
    ask_and_settle(world, town, "destroy")
    assert state(town) == ("stopped", "stopped")
    assert world.machine(town).state == "stopped"
    assert town.stop_reason == "person"


def test_a_machine_that_fell_over_unseen_runs_on_when_its_destroy_fails(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    world.faults.fail("sandbox.request_sync", Unavailable("HTTP 503"), times=None)
    ask_and_settle(world, town, "destroy")
    assert state(town) == ("running", "running")
    assert world.machine(town).state == "started"


def test_a_machine_stopped_behind_our_back_is_not_taken_for_our_stop(world: World) -> None:
    town = world.stopped_town()
    ask_and_settle(world, town, "start")
    world.advance(400)
    world.work(town, "after its last snapshot")
    world.fly.crash(world.machine(town))
    Town.objects.filter(pk=town.pk).update(desired_state="stopped")
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    world.check()


def test_a_machine_that_fell_over_unseen_is_awake_before_it_is_asked(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    ask_and_settle(world, town, "destroy")
    assert state(town) == ("destroyed", "destroyed")
    assert world.faults.count("sandbox.request_sync") == 1


@pytest.mark.parametrize("clock", ["right", "behind", "silent"])
def test_a_new_machine_that_never_started_is_not_taken_for_the_one_that_was_stopped(
    world: World, clock: str
) -> None:
    """Its volume holds what was worked after the stop. Fly's clock alone is not believed."""
    town = world.stopped_town()
    stopped_at = newest(town, "stop").created_at
    ask_and_settle(world, town, "start")
    world.work(town, "not in any backup yet")
    world.lose_machine(town)
    ask(world, town, "restart", actor=RULE)
    while world.faults.count("fly.create_machine") < 2:
        world.settle(1)
    machine = world.machine(town)
    machine.epoch += 1  # Fly never comes to start it
    machine.state, machine.last_start_at = "created", None
    if clock == "right":  # our own rows are not what tells
        earlier = stopped_at - timedelta(hours=1)
        town.operations.exclude(kind="stop").update(created_at=earlier)
    if clock == "behind":
        machine.created_at = stopped_at - timedelta(seconds=60)
    if clock == "silent":
        machine.created_at = None  # type: ignore[assignment]
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    [kept] = world.r2.retained(town.pk).snapshots.values()
    assert "not in any backup yet" in kept.data.marks
    world.check()


def test_machine_and_volume_gone_the_last_snapshot_serves(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    operation = ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    assert "machine and volume are gone" in operation.learned["report"]["backup"]
    assert world.r2.retained(town.pk).snapshots
    world.check()


def test_a_stopped_town_whose_snapshot_rots_is_started_for_another_one(world: World) -> None:
    town = world.stopped_town()
    [snapshot, *_] = world.snapshots(town)
    snapshot.bad_checksum = True
    ask_and_settle(world, town, "destroy")
    assert state(town) == ("destroyed", "destroyed")
    [kept] = world.r2.retained(town.pk).snapshots.values()
    assert kept.is_whole
    assert kept.timestamp > snapshot.timestamp
    assert set(kept.data.marks) >= set(snapshot.data.marks)
    assert nothing_is_left_at_fly(world)


def test_a_snapshot_that_rots_before_it_is_copied_is_made_anew(world: World) -> None:
    town = world.running_town()
    world.work(town, "last work")
    ask(world, town, "destroy")
    rot_before_the_copy(world, town)
    world.settle()
    assert state(town) == ("destroyed", "destroyed")
    assert world.record.count("started") == 2
    [kept] = world.r2.retained(town.pk).snapshots.values()
    assert kept.is_whole
    assert "last work" in kept.data.marks
    assert nothing_is_left_at_fly(world)


def test_machine_and_volume_gone_an_older_snapshot_serves_if_the_last_rots(world: World) -> None:
    town = world.running_town()
    world.advance(700)
    last, before, *_ = world.snapshots(town)
    last.bad_checksum = True
    world.r2.may_lose.add(live_prefix(str(town.pk)))
    world.lose_host(town)
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    assert list(world.r2.retained(town.pk).snapshots) == [before.timestamp]


def test_after_the_soft_delete_it_goes_on_until_there_is_a_backup(world: World) -> None:
    town = world.running_town()
    ask(world, town, "destroy")
    rot_before_the_copy(world, town)
    while not newest(town).learned.get("rotten"):
        world.settle(1)
    world.faults.fail("sandbox.request_sync", Unavailable("It is busy."), times=None)
    world.settle(1800)
    assert state(town)[0] == "destroying"
    assert "Its volume stays, there is no verified backup" in newest(town).message
    assert town.volume_id in world.fly.volumes
    world.faults.clear()
    world.settle(4 * 3600)
    assert state(town) == ("destroyed", "destroyed")
    assert nothing_is_left_at_fly(world)


def test_machine_and_volume_gone_and_no_backup_stops_with_the_reason(world: World) -> None:
    town = world.running_town()
    world.lose_host(town)
    world.r2.folders.clear()
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "running"
    assert "no verified backup" in event(town, "destroy_failed").reason


def test_one_that_the_database_forgot_is_destroyed_again_from_the_backup_it_kept(
    world: World,
) -> None:
    town = world.running_town()
    kept = world.snapshots(town)[0].timestamp
    r2, live, retained = world.services.r2, live_prefix(str(town.pk)), retained_prefix(str(town.pk))
    r2.copy_snapshot(live, retained, kept)
    r2.empty(live)
    world.lose_host(town)
    assert nothing_is_left_at_fly(world)
    operation = ask_and_settle(world, town, "destroy")
    assert (operation.state, *state(town)) == ("succeeded", "destroyed", "destroyed")
    assert "kept by an earlier destroy" in operation.learned["report"]["backup"]
    assert list(world.r2.retained(town.pk).snapshots) == [kept]
    assert [(one.kind, one.snapshot) for one in Backup.objects.filter(town=town)] == [
        ("retained", kept)
    ]
    ask_and_settle(world, town, "restore")
    assert state(town) == ("running", "running")
    assert "first work" in world.marks(town)
    world.check()


def test_machine_gone_but_volume_there_asks_for_recovery_first(world: World) -> None:
    town = world.running_town()
    world.lose_machine(town)
    ask_and_settle(world, town, "destroy")
    assert "recover it first" in event(town, "destroy_failed").reason
    assert town.volume_id in world.fly.volumes


def test_ids_are_kept_until_both_are_seen_gone(world: World) -> None:
    town = world.running_town()
    machine_id, volume_id = town.machine_id, town.volume_id
    world.faults.fail("fly.destroy_volume", Unavailable("HTTP 500"), times=None)
    ask(world, town, "destroy")
    world.settle(600)
    town.refresh_from_db()
    assert (town.machine_id, town.volume_id) == (machine_id, volume_id)
    assert "HTTP 500" in newest(town).message


def test_kilo_3250_retries_back_off_and_staff_are_told_after_ten(world: World) -> None:
    town = world.running_town()
    world.faults.fail("fly.destroy_volume", Unavailable("HTTP 500"), times=None)
    ask(world, town, "destroy")
    world.settle(7 * DAY)
    assert state(town)[0] == "destroying"
    tries = [call.at for call in world.faults.calls if call.name == "fly.destroy_volume"]
    gaps = [round((b - a).total_seconds() / 60) for a, b in pairwise(tries)]
    assert gaps[:6] == [1, 5, 15, 60, 360, 1440]
    assert Alert.objects.filter(town=town, cause="destroy_failed", resolved_at=None).count() == 1
    world.faults.clear()
    world.settle(2 * DAY)
    assert state(town)[0] == "destroyed"
    assert causes(town) == set()


def test_a_worker_killed_before_it_tells_staff_loses_no_alert(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = world.running_town()
    world.faults.fail("fly.destroy_volume", Unavailable("HTTP 500"), times=None)
    ask(world, town, "destroy")
    real = engine._alert_staff
    killed: list[int] = []

    def die_once(run: Run, flow: Flow, attempt: int, error: str) -> None:
        if attempt == flow.alert_after and not killed:
            killed.append(attempt)
            raise Killed
        real(run, flow, attempt, error)

    monkeypatch.setattr(engine, "_alert_staff", die_once)
    world.settle(9 * DAY)
    assert killed == [10]
    assert causes(town) == {"destroy_failed"}


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.DESTROYED, Status.DESTROYING}))
def test_coder_7615_it_is_possible_from_every_status(world: World, status: str) -> None:
    town = town_in(world, Status(status))
    assert state(town)[0] == status
    ask(world, town, "destroy")
    world.settle()
    assert state(town) == ("destroyed", "destroyed")
    assert nothing_is_left_at_fly(world)
    world.check()


def town_in(world: World, status: Status) -> Town:
    """A town in that status."""
    if status == Status.PROVISIONING:
        return world.create_town()
    if status in (Status.STOPPED, Status.STARTING):
        town = world.stopped_town()
        if status == Status.STARTING:
            ask(world, town, "start")
        return town
    if status == Status.RESTORING:
        town = world.destroyed_town()
        ask(world, town, "restore")
        return town
    town = world.running_town()
    if status == Status.STOPPING:
        ask(world, town, "stop")
    elif status == Status.RESTARTING:
        ask(world, town, "restart")
    elif status == Status.RECOVERING:
        world.lose_host(town)
        ask(world, town, "restart", actor=RULE)
        world.drive()
    elif status == Status.ERROR:
        world.fly.sick.add(str(town.pk))
        ask_and_settle(world, town, "restart", actor=RULE)
        world.fly.sick.clear()
    elif status == Status.UNHEALTHY:
        history.change_status(
            town, Status.UNHEALTHY, kind="unhealthy", actor=RULE, now=world.now, reason="3 failures"
        )
    return town


def test_no_alert_of_a_destroyed_town_stays_open(world: World) -> None:
    town = world.stopped_town()
    world.fly.sick.add(str(town.pk))
    ask_and_settle(world, town, "start")
    assert causes(town) == {"start_failed"}
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    assert causes(town) == set()


@pytest.mark.parametrize("call", ["fly.destroy_machine", "fly.destroy_volume", "r2.empty"])
@pytest.mark.parametrize("moment", list(Moment))
def test_a_killed_worker_is_followed_by_another(world: World, call: str, moment: Moment) -> None:
    town = world.running_town()
    world.faults.fail(call, Killed(), moment=moment)
    ask_and_settle(world, town, "destroy")
    assert state(town)[0] == "destroyed"
    assert world.r2.retained(town.pk).snapshots
    world.check()
