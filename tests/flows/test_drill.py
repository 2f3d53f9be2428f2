"""Restore drills: what they prove, and that they touch nothing."""

import pytest
from django.test import override_settings

from tests.flows.drills import assert_nothing_left, backed_up, drilled, under_way
from tests.world import World
from tests.world.asking import ask, ask_and_settle, causes, event, newest, state
from tests.world.things import Folder
from towns import addresses, history
from towns.history import Actor
from towns.models import Alert, Drill, Town
from towns.services.errors import CapacityError, Unavailable
from towns.words import Status

pytestmark = pytest.mark.django_db
MINUTE = 60


def test_it_works(world: World) -> None:
    town = backed_up(world)
    drill = drilled(world, town)
    newest_now = world.snapshots(town)[0]
    assert (drill.result, drill.snapshot) == ("ok", newest_now.timestamp)
    assert drill.bytes == newest_now.data.size
    assert drill.seconds is not None
    assert 0 < drill.seconds < MINUTE
    assert drill.cleaned_at is not None
    assert newest(town, "drill").state == "succeeded"
    assert event(town, "drill_ok").data["snapshot"] == newest_now.timestamp
    assert state(town) == ("running", "running")
    assert causes(town) == set()
    assert_nothing_left(world, drill)
    world.check()


def test_the_town_is_untouched(world: World) -> None:
    town = backed_up(world)
    machine, volume = world.machine(town), world.volume(town)
    rows = Town.objects.filter(pk=town.pk).values().get()
    prefix, pointers = world.r2.live(town.pk), world.record.count("pointer")
    starts, epoch = machine.last_start_at, machine.epoch
    under_way(world, town)
    assert world.machine(town) is machine, "the drill's is not the town's machine"
    [throw_away] = world.fly.drills()
    assert throw_away.volume_id != volume.id
    assert addresses.TOWN_METADATA not in throw_away.metadata
    before = {one.timestamp for one in prefix.snapshots.values()}
    world.settle(MINUTE)
    made_by_itself = world.record.count("pointer") - pointers
    assert len({*prefix.snapshots} - before) <= made_by_itself
    assert (machine.last_start_at, machine.epoch, volume.state) == (starts, epoch, "created")
    assert prefix.latest is not None
    assert prefix.latest.generation == town.generation
    rows_now = Town.objects.filter(pk=town.pk).values().get()
    assert rows_now == rows
    world.check()


def test_its_machine_can_neither_back_up_nor_act_as_the_town(world: World) -> None:
    town = backed_up(world)
    under_way(world, town)
    [machine] = world.fly.drills()
    assert machine.env["DRILL"] == "1"
    assert machine.env["GENERATION"] == "0", "the pointer is of a higher one"
    assert machine.env["CONTROL_PLANE_URL"] == ""
    world.settle()
    assert world.record.whats().count("gt up") == 1, "the town's own"


def test_names_and_volumes_fit_what_fly_takes(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    name = addresses.drill_volume_name(drill.pk)
    assert len(name) <= 30
    assert name.startswith("d")
    assert name.isalnum()
    assert addresses.drill_of_volume(name) == drill.pk
    assert addresses.town_of_volume(name) is None
    assert addresses.drill_of_volume(addresses.volume_name(town)) is None


@pytest.mark.parametrize("status", ["stopped", "error", "unhealthy"])
def test_a_town_that_does_not_run_can_be_drilled_too(world: World, status: str) -> None:
    town = world.stopped_town()
    if status != "stopped":
        locked = history.lock_town(town.pk)
        history.change_status(
            locked, Status(status), kind="test", actor=Actor.shell(), now=world.now
        )
    drill = drilled(world, town)
    assert drill.result == "ok"
    assert state(town)[0] == status


# What it proves


def test_litestream_582_a_corrupt_snapshot_is_found_before_it_is_needed(world: World) -> None:
    town = backed_up(world)
    bad, good, *_ = world.snapshots(town)
    bad.bad_checksum = True  # its manifest and its sizes look right
    drill = drilled(world, town)
    assert (drill.result, drill.snapshot) == ("corrupt", bad.timestamp)
    assert (drill.fell_back_to, drill.corrupt) == (good.timestamp, [bad.timestamp])
    alert = Alert.objects.get(town=town, cause="drill_failed", resolved_at=None)
    assert alert.severity == "critical"
    assert f"snapshot {bad.timestamp}" in alert.message
    assert f"Snapshot {good.timestamp} does restore" in alert.message
    assert newest(town, "drill").state == "failed"
    assert event(town, "drill_corrupt").to_status == ""
    assert state(town) == ("running", "running")
    assert_nothing_left(world, drill)


def test_no_snapshot_that_restores_is_said_plainly(world: World) -> None:
    town = backed_up(world)
    for snapshot in world.snapshots(town):
        snapshot.bad_checksum = True
    drill = drilled(world, town)
    assert (drill.result, drill.fell_back_to) == ("corrupt", "")
    assert drill.corrupt == [one.timestamp for one in world.snapshots(town)][: len(drill.corrupt)]
    assert "No snapshot of it was seen to restore" in Alert.objects.get(town=town).message


def test_a_file_that_is_missing_is_found_too(world: World) -> None:
    town = backed_up(world)
    world.snapshots(town)[0].missing_file = True
    assert drilled(world, town).result == "corrupt"


def test_a_good_drill_closes_the_alert(world: World) -> None:
    town = backed_up(world)
    world.snapshots(town)[0].bad_checksum = True
    drilled(world, town)
    assert causes(town) == {"drill_failed"}
    ask_and_settle(world, town, "backup")
    assert causes(town) == {"drill_failed"}, "a backup alone proves no restore"
    assert drilled(world, town).result == "ok"
    assert causes(town) == set()


def test_what_it_proved_counts_although_it_is_called_off_while_it_cleans_up(world: World) -> None:
    town = backed_up(world)
    world.snapshots(town)[0].bad_checksum = True
    drilled(world, town)
    ask_and_settle(world, town, "backup")
    drill = ask(world, town, "drill").operation.drill
    while not drill.result:
        world.advance(1)
        world.drive()
        drill.refresh_from_db()
    ask(world, town, "stop")
    drill.refresh_from_db()
    assert (drill.result, newest(town, "drill").state) == ("ok", "superseded")
    assert "drill_failed" not in causes(town)


def test_litestream_1164_what_restored_nothing_is_never_ok(world: World) -> None:
    town = backed_up(world)
    world.r2.folders[f"gastown/{town.pk}/"] = Folder()
    drill = drilled(world, town)
    assert drill.result == "failed"
    assert "no latest.json" in drill.reason
    assert causes(town) == {"drill_failed"}


def test_litestream_253_a_restore_whose_data_do_not_open_is_not_ok(world: World) -> None:
    town = backed_up(world)
    world.fly.sick.add(str(town.pk))
    drill = drilled(world, town)
    assert drill.result == "failed"
    assert "Dolt does not open its data" in drill.reason
    assert causes(town) == {"drill_failed"}
    assert_nothing_left(world, drill)


def test_litestream_582_a_backup_that_vanishes_meanwhile_is_never_ok(world: World) -> None:
    town = backed_up(world)
    under_way(world, town)
    world.process(town).kill()
    world.r2.folders[f"gastown/{town.pk}/"] = Folder()
    world.settle()
    drill = Drill.objects.get()
    assert drill.result == "inconclusive"
    assert "could not restore it" in drill.reason


def test_a_newer_snapshot_that_was_made_meanwhile_counts(world: World) -> None:
    town = backed_up(world)
    ask(world, town, "drill")
    world.faults.fail("fly.create_volume", Unavailable("503"), times=5)
    world.drive()
    wanted = Drill.objects.get().snapshot
    world.advance(world.process(town).interval + 10)
    world.settle()
    drill = Drill.objects.get()
    assert drill.result == "ok"
    assert drill.snapshot > wanted


def test_a_snapshot_that_was_rotated_away_while_it_was_read_is_not_called_corrupt(
    world: World,
) -> None:
    town = backed_up(world)
    under_way(world, town)
    folder = world.r2.live(town.pk)
    read = max(folder.snapshots)
    for name, snapshot in folder.snapshots.items():
        snapshot.bad_checksum = name == read
    world.advance(world.pace.create + world.pace.boot + world.pace.restore + 1)
    del folder.snapshots[read]
    world.settle()
    drill = Drill.objects.get()
    assert drill.result == "inconclusive"
    assert "rotated away" in drill.reason
    assert causes(town) == set()


@pytest.mark.parametrize("call", ["fly.create_volume", "fly.create_machine"])
def test_no_room_proves_nothing(world: World, call: str) -> None:
    town = backed_up(world)
    world.faults.fail(call, CapacityError("insufficient resources"))
    drill = drilled(world, town)
    assert drill.result == "inconclusive"
    assert "no room" in drill.reason
    assert causes(town) == set()
    assert event(town, "drill_inconclusive").reason == drill.reason
    assert_nothing_left(world, drill)


def test_r2_that_is_away_proves_nothing(world: World) -> None:
    town = backed_up(world)
    ask(world, town, "drill")
    world.faults.r2_down = True
    world.settle()
    assert Drill.objects.get().result == "inconclusive"
    assert "drill_failed" not in causes(town)


def test_r2_that_goes_away_during_the_restore_proves_nothing(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    world.faults.r2_down = True
    world.settle()
    drill.refresh_from_db()
    assert drill.result == "inconclusive"
    assert "R2 can't be reached" in drill.reason
    assert "drill_failed" not in causes(town)
    assert_nothing_left(world, drill)


def test_a_machine_that_falls_over_proves_nothing(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    world.advance(world.pace.create + world.pace.boot)
    [machine] = world.fly.drills()
    world.fly.crash(machine)
    world.settle()
    drill.refresh_from_db()
    assert drill.result == "inconclusive"
    assert "exit code 137" in drill.reason
    assert_nothing_left(world, drill)


def test_a_machine_that_vanishes_proves_nothing(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    world.fly.forget_machine(drill.machine_id)
    world.settle()
    drill.refresh_from_db()
    assert drill.result == "inconclusive"
    assert "404" in drill.reason


def test_litestream_1164_somebody_elses_answer_proves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template of addresses without the machine's id would lead to the town itself."""
    town = backed_up(world)
    live = world.process(town)
    monkeypatch.setattr(world.sandbox, "_process", lambda _address: live)
    drill = drilled(world, town)
    assert drill.result == "inconclusive"
    assert_nothing_left(world, drill)


@override_settings(GASTOWN_DEADLINE_DRILL_MINUTES=5)
def test_its_deadline_ends_it_and_it_still_cleans_up(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    world.advance(world.pace.create + world.pace.boot)
    [machine] = world.fly.drills()
    assert machine.process is not None
    machine.process.mute = True
    world.settle()
    drill.refresh_from_db()
    assert drill.result == "inconclusive"
    assert "Not done after 5 min" in drill.reason
    assert drill.cleaned_at is not None
    assert causes(town) == set()
    assert_nothing_left(world, drill)


def test_an_image_that_knows_no_drills_is_ended_at_once(world: World) -> None:
    """It would run agents, with the town's tokens."""
    town = backed_up(world)
    world.fly.knows_drills = False
    drill = drilled(world, town)
    assert drill.result == "inconclusive"
    assert Alert.objects.get(cause="drill_image").severity == "critical"
    assert "drill_failed" not in causes(town)
    assert_nothing_left(world, drill)
    world.fly.knows_drills = True
    assert drilled(world, town).result == "ok"
    assert not Alert.objects.filter(cause="drill_image", resolved_at=None).exists()
