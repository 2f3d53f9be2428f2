"""Machines that run and shouldn't: of stopped towns, and twins."""

from datetime import timedelta

import pytest

from tests.sweeps.reconcile.asking import actions, after, orphan, sweep, twin_of
from tests.world import World
from tests.world.asking import ask, causes, event, newest, state
from towns import automation
from towns.history import Actor
from towns.models import Alert, Breaker, LifecycleEvent, Operation, Town
from towns.services.errors import Unavailable
from towns.words import OperationState

pytestmark = pytest.mark.django_db
ANN = Actor("ann")


def start_behind_our_back(world: World, town: Town) -> None:
    world.fly.start_machine(world.machine(town).id)
    world.advance(10)


def test_kilocode_6741_what_a_person_stopped_is_stopped_again(world: World) -> None:
    town = world.stopped_town()
    world.advance(60)
    start_behind_our_back(world, town)
    world.work(town, "worked in between")
    assert actions(sweep(world)) == [("machine_started", "stop")]
    seen = event(town, "drift")
    assert (seen.from_status, seen.to_status) == ("stopped", "running")
    world.settle()
    town.refresh_from_db()
    assert (town.status, town.desired_state, town.stop_reason) == ("stopped", "stopped", "person")
    assert newest(town).automatic
    assert world.r2.is_kept(str(town.pk), "worked in between")
    world.check()


def test_what_slept_for_being_idle_counts_as_running(world: World) -> None:
    """Its owner may be using it: the idle rule decides, from now on."""
    town = world.stopped_town(idle=True)
    world.advance(60)
    start_behind_our_back(world, town)
    assert actions(sweep(world)) == [("machine_started", "adopt")]
    town.refresh_from_db()
    assert (town.status, town.desired_state, town.stop_reason) == ("running", "running", "")
    assert town.awake_since == world.now
    assert not Operation.objects.filter(state=OperationState.OPEN).exists()


@pytest.mark.parametrize("what", ["freeze", "hold", "maintenance", "breaker"])
def test_what_holds_automation_holds_this_stop(world: World, what: str) -> None:
    town = world.stopped_town()
    start_behind_our_back(world, town)
    if what == "freeze":
        automation.freeze("all", reason="window", actor=ANN, now=world.now)
    elif what == "hold":
        Town.objects.update(hold_reason="window")
    elif what == "maintenance":
        automation.plan_window(
            "region:ams",
            since=world.now,
            until=world.now + timedelta(hours=1),
            reason="window",
            actor=ANN,
            now=world.now,
        )
    else:
        Breaker.objects.create(
            scope="region:ams", state="open", reason="window", opened_at=world.now
        )
    for _ in range(2):
        world.advance(60)
        assert actions(sweep(world)) == [("machine_started", "none")]
    assert state(town) == ("stopped", "stopped")
    told = LifecycleEvent.objects.get(town=town, kind="drift_not_repaired")
    assert "window" in told.reason


def test_reasons_that_come_by_turns_are_told_once_each(world: World) -> None:
    town = world.stopped_town()
    start_behind_our_back(world, town)
    Town.objects.update(hold_reason="window")
    for number in range(6):
        if number % 2:
            automation.thaw("all", actor=ANN, now=world.now)
        else:
            automation.freeze("all", reason="looks odd", actor=ANN, now=world.now)
        assert actions(sweep(world)) == [("machine_started", "none")]
    told = LifecycleEvent.objects.filter(town=town, kind="drift_not_repaired")
    assert told.count() == len({one.reason for one in told}) == 2


def test_a_hold_that_is_over_holds_nothing(world: World) -> None:
    town = world.stopped_town()
    start_behind_our_back(world, town)
    Town.objects.update(hold_reason="window", hold_until=world.now)
    world.advance(60)
    assert actions(sweep(world)) == [("machine_started", "stop")]
    assert state(town) == ("stopping", "stopped")


def test_a_start_that_begins_in_between_is_not_stopped(world: World) -> None:
    town = world.stopped_town()
    world.advance(60)
    start_behind_our_back(world, town)
    after(world, "fly.get_machine", lambda: ask(world, town, "start"))
    assert actions(sweep(world)) == [("machine_started", "none")]
    world.settle()
    assert state(town) == ("running", "running")


def test_a_dry_run_stops_nothing(world: World) -> None:
    town = world.stopped_town()
    world.advance(60)
    start_behind_our_back(world, town)
    assert actions(sweep(world, dry_run=True)) == [("machine_started", "stop")]
    assert state(town) == ("stopped", "stopped")


def recovered_town(world: World) -> Town:
    """A town of the second generation."""
    town = world.running_town()
    world.running_town("other")
    world.lose_host(town)
    ask(world, Town.objects.get(pk=town.pk), "restart")
    world.settle()
    town.refresh_from_db()
    assert (town.status, town.generation) == ("running", 2)
    return town


def test_gitpod_4671_a_twin_of_an_older_generation_is_stopped_and_told(world: World) -> None:
    town = recovered_town(world)
    twin = twin_of(world, town, generation=1)
    assert actions(sweep(world)) == [("twin", "stop")]
    world.advance(60)
    assert (world.fly.machines[twin.id].state, causes(town)) == ("stopped", {"twin"})
    assert Alert.objects.get(cause="twin").severity == "critical"
    assert twin.id in event(town, "twin_stopped").reason
    assert actions(sweep(world)) == [("twin", "report")]
    row = orphan(twin.id)
    assert (row.cause, row.state, row.town) == ("old_machine", "reported", town)
    assert twin.volume_id in world.fly.volumes
    assert state(town) == ("running", "running")


@pytest.mark.parametrize("generation", [2, 3])
def test_a_twin_that_is_not_older_is_only_told(world: World, generation: int) -> None:
    town = recovered_town(world)
    twin = twin_of(world, town, generation=generation)
    assert actions(sweep(world)) == [("twin", "report")]
    assert twin.state == "started"
    assert causes(town) == {"twin"}


def test_a_twin_is_left_running_while_the_towns_own_machine_is_not(world: World) -> None:
    town = recovered_town(world)
    twin = twin_of(world, town, generation=1)
    world.fly.machines[town.machine_id].state = "starting"
    assert actions(sweep(world)) == [("twin", "report")]
    assert twin.state == "started"


def test_a_freeze_leaves_the_twin_running(world: World) -> None:
    town = recovered_town(world)
    twin = twin_of(world, town, generation=1)
    automation.freeze("all", reason="window", actor=ANN, now=world.now)
    [handled] = sweep(world).handled
    assert (handled.action, twin.state) == ("report", "started")
    assert "window" in handled.why


def test_the_alert_about_a_twin_closes_by_a_404_alone(world: World) -> None:
    town = recovered_town(world)
    twin = twin_of(world, town, generation=1, state="stopped")
    sweep(world)
    world.fly.forget_machine(twin.id)
    world.faults.fail("fly.get_machine", Unavailable("502."))
    sweep(world)
    assert causes(town) == {"twin"}
    sweep(world)
    assert causes(town) == set()
