"""Provision (product.md 1.7): a new town gets its volume and its machine, and runs."""

import pytest

from tests.world import Killed, Moment, World
from tests.world.asking import ask, causes, event, newest, state
from towns import addresses
from towns.models import HealthCheck, LifecycleEvent
from towns.services.errors import CapacityError, Misconfigured, RateLimited, Unavailable

pytestmark = pytest.mark.django_db


def test_it_works(world: World) -> None:
    town = world.create_town()
    world.settle()
    assert state(town) == ("running", "running")
    machine = world.machine(town)
    assert (town.machine_id, town.volume_id) == (machine.id, machine.volume_id)
    assert (machine.name, machine.region) == (f"gastown-{town.pk}", "ams")
    assert world.volume(town).name == addresses.volume_name(town)
    assert town.first_ran_at == town.awake_since == world.now
    assert newest(town).state == "succeeded"
    world.check()


def test_its_history_tells_each_change_of_status(world: World) -> None:
    town = world.create_town()
    world.settle()
    events = LifecycleEvent.objects.filter(town=town, to_status__gt="").order_by("id")
    assert [(one.kind, one.from_status, one.to_status) for one in events] == [
        ("provision", "provisioning", "provisioning"),
        ("provision_done", "provisioning", "running"),
    ]


def test_it_keeps_the_first_health_check(world: World) -> None:
    town = world.create_town()
    world.settle()
    check = HealthCheck.objects.get(town=town)
    assert (check.result, check.slot) == ("ok", None)
    town.refresh_from_db()
    assert town.health["daemon_running"] is True
    assert town.last_ok_at == check.checked_at


def test_it_saves_the_ids_before_anything_else_happens(world: World) -> None:
    town = world.create_town()
    world.faults.fail("fly.start_machine", Unavailable("lost"), times=None)
    world.faults.fail("fly.get_machine", Unavailable("lost"), times=None)
    world.drive()
    town.refresh_from_db()
    assert town.volume_id in world.fly.volumes
    assert town.machine_id in world.fly.machines


@pytest.mark.parametrize("call", ["fly.create_volume", "fly.create_machine"])
def test_what_was_made_but_not_saved_is_adopted(world: World, call: str) -> None:
    town = world.create_town()
    world.faults.fail(call, Killed(), moment=Moment.AFTER)
    world.settle()
    assert state(town) == ("running", "running")
    assert world.deaths == 1
    assert (len(world.fly.machines), len(world.fly.volumes)) == (1, 1)


@pytest.mark.parametrize("call", ["fly.create_volume", "fly.create_machine"])
def test_a_lost_answer_makes_no_twin(world: World, call: str) -> None:
    town = world.create_town()
    world.faults.fail(call, Unavailable("the answer was lost"), moment=Moment.AFTER)
    world.settle()
    assert state(town) == ("running", "running")
    assert (len(world.fly.machines), len(world.fly.volumes)) == (1, 1)


def test_a_machine_with_its_name_that_is_not_ours_is_left_alone(world: World) -> None:
    other = world.running_town("other")
    stranger = world.machine(other)
    town = world.create_town("alpha")
    stranger.name = addresses.machine_name(town)
    world.settle()
    assert state(town)[0] == "error"
    assert stranger.id in town.status_reason
    assert stranger.state == "started"


def test_no_room_is_said_and_tried_again(world: World) -> None:
    town = world.create_town()
    world.faults.fail("fly.create_machine", CapacityError("No room in ams."), times=3)
    world.drive()
    assert "No room in ams." in newest(town).message
    world.settle()
    assert state(town) == ("running", "running")


def test_being_asked_to_slow_down_is_no_failed_attempt(world: World) -> None:
    town = world.create_town()
    world.faults.fail("fly.create_volume", RateLimited("Too often.", retry_after=7))
    world.drive()
    operation = newest(town)
    assert operation.attempt == 0
    assert (operation.due_at - world.now).total_seconds() == 7
    world.settle()
    assert state(town) == ("running", "running")


def test_a_passing_status_ends_at_its_deadline(world: World) -> None:
    town = world.create_town()
    world.faults.fly_down = True
    world.settle()
    assert state(town)[0] == "error"
    assert "Not done after 10 min" in town.status_reason
    assert causes(town) == {"provision_failed"}
    assert newest(town).finished_at is not None


def test_an_unknown_app_is_our_misconfiguration_and_no_absence(world: World) -> None:
    town = world.create_town()
    world.faults.fail("fly.*", Misconfigured("GASTOWN_FLY_APP_NAME names no app."), times=None)
    world.settle()
    assert state(town)[0] == "error"
    assert "GASTOWN_FLY_APP_NAME" in town.status_reason
    assert not world.fly.machines


def test_a_failed_one_can_be_started(world: World) -> None:
    town = world.create_town()
    world.faults.fly_down = True
    world.settle()
    world.faults.clear()
    ask(world, town, "start")
    world.settle()
    assert state(town) == ("running", "running")
    assert event(town, "recover_done").to_status == "running"
    assert causes(town) == set()


def test_it_can_be_destroyed_while_it_is_made(world: World) -> None:
    town = world.create_town()
    world.drive()
    ask(world, town, "destroy")
    world.settle()
    assert state(town) == ("destroyed", "destroyed")
    world.advance(120)
    assert not world.fly.machines
    assert not world.fly.volumes
    assert newest(town, "provision").state == "superseded"
