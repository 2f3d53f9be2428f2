"""Backup: a running town is asked for a snapshot, and R2 shows it."""

import pytest

from tests.world import World
from tests.world.asking import ask_and_settle, causes, event, state
from towns.flows.run import Run
from towns.flows.snapshots import keep_backup
from towns.models import Backup, Town
from towns.services.errors import Unavailable
from towns.services.r2 import Verification

pytestmark = pytest.mark.django_db


def test_it_works(world: World) -> None:
    town = world.running_town()
    world.work(town, "fresh")
    operation = ask_and_settle(world, town, "backup")
    assert operation.state == "succeeded"
    assert state(town) == ("running", "running")
    newest = world.snapshots(town)[0]
    assert "fresh" in newest.data.marks
    kept = Backup.objects.get(town=town, snapshot=newest.timestamp)
    assert (kept.operation, kept.generation, kept.bytes) == (operation, 1, newest.data.size)
    assert town.last_snapshot == newest.timestamp


def test_only_what_r2_shows_counts(world: World) -> None:
    town = world.running_town()
    world.process(town).generation = 0  # says yes, and moves no pointer
    operation = ask_and_settle(world, town, "backup")
    assert operation.state == "failed"
    assert "no newer snapshot came" in operation.message


def test_a_failure_leaves_the_status_and_alerts(world: World) -> None:
    town = world.running_town()
    world.faults.fail("sandbox.request_sync", Unavailable("HTTP 503"), times=None)
    operation = ask_and_settle(world, town, "backup")
    assert operation.state == "failed"
    assert state(town) == ("running", "running")
    assert event(town, "backup_failed").to_status == ""
    assert causes(town) == {"backup_failed"}


def test_two_hiccups_are_no_failure(world: World) -> None:
    town = world.running_town()
    world.faults.fail("sandbox.request_sync", Unavailable("HTTP 503"), times=2)
    assert ask_and_settle(world, town, "backup").state == "succeeded"


def test_a_good_backup_closes_the_alert(world: World) -> None:
    town = world.running_town()
    world.faults.fail("sandbox.request_sync", Unavailable("HTTP 503"), times=3)
    ask_and_settle(world, town, "backup")
    ask_and_settle(world, town, "backup")
    assert causes(town) == set()


def test_it_says_nothing_about_what_else_had_failed(world: World) -> None:
    town = world.running_town()
    world.faults.fail("fly.stop_machine", Unavailable("HTTP 503"), times=None)
    ask_and_settle(world, town, "stop")
    world.faults.clear()
    assert (state(town)[0], causes(town)) == ("running", {"stop_failed"})
    assert ask_and_settle(world, town, "backup").state == "succeeded"
    assert causes(town) == {"stop_failed"}
    ask_and_settle(world, town, "restart")
    assert causes(town) == set()


def test_the_shrink_guard_holds_a_snapshot_back(world: World) -> None:
    town = world.running_town()
    data = world.volume(town).data
    assert data is not None
    before = town.last_snapshot
    world.volume(town).data = type(data)(data.marks, data.size // 10)
    operation = ask_and_settle(world, town, "backup")
    assert operation.state == "failed"
    assert world.snapshots(town)[0].held
    assert town.last_snapshot == before


@pytest.mark.parametrize("claimed", ["99991231T235959Z", "99999999T999999Z", "zzz"])
def test_a_name_that_only_a_sandbox_told_of_stands_in_nobodys_way(
    world: World, claimed: str
) -> None:
    town = world.running_town()
    Town.objects.filter(pk=town.pk).update(last_snapshot=claimed)
    assert ask_and_settle(world, town, "backup").state == "succeeded"
    town.refresh_from_db()
    newest = world.snapshots(town)[0]
    assert (town.last_snapshot, town.last_backup_at) == (newest.timestamp, newest.created_at)


def test_an_older_snapshot_than_was_proved_is_not_the_towns_newest(world: World) -> None:
    town = world.running_town()
    operation = ask_and_settle(world, town, "backup")
    town.refresh_from_db()
    newest = town.last_snapshot
    run = Run(operation=operation, town=town, services=world.services)
    older = Verification(ok=True, problem="", timestamp="20200101T000000Z")
    keep_backup(run, older)
    town.refresh_from_db()
    assert town.last_snapshot == newest
    assert Backup.objects.filter(town=town, snapshot=older.timestamp).exists()
