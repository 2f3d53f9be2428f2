"""Start (product.md 1.3)."""

import pytest

from tests.world import World
from tests.world.asking import ask, ask_and_settle, causes, event, newest, state
from towns.services.errors import Misconfigured, RateLimited, Unavailable

pytestmark = pytest.mark.django_db


def test_it_works(world: World) -> None:
    town = world.stopped_town()
    operation = ask_and_settle(world, town, "start")
    assert state(town) == ("running", "running")
    assert operation.state == "succeeded"
    assert [entry["step"] for entry in operation.log] == [
        "look_at_machine",
        "start_machine",
        "await_started",
        "await_healthy",
    ]
    assert world.marks(town)[0] == "first work"
    assert operation.finished_at is not None
    assert (operation.finished_at - operation.created_at).total_seconds() < 15
    world.check()


def test_it_runs_only_once_a_health_check_passes(world: World) -> None:
    town = world.stopped_town()
    ask(world, town, "start")
    world.drive()
    world.advance(world.pace.boot)
    world.drive()
    assert world.machine(town).state == "started"
    assert state(town)[0] == "starting"


def test_a_start_that_takes_too_long_ends_in_error_and_is_told(world: World) -> None:
    town = world.stopped_town()
    world.fly.sick.add(str(town.pk))
    ask_and_settle(world, town, "start")
    assert state(town)[0] == "error"
    assert "Not done after 5 min" in town.status_reason
    assert "gt daemon is not running" in town.status_reason
    assert causes(town) == {"start_failed"}


def test_jupyterhub_1600_after_a_failed_start_a_person_may_try_again_at_once(world: World) -> None:
    town = world.stopped_town()
    world.faults.fail("fly.start_machine", Unavailable("HTTP 503"), times=None)
    ask_and_settle(world, town, "start")
    assert state(town)[0] == "error"
    world.faults.clear()
    assert ask_and_settle(world, town, "start").state == "succeeded"
    assert state(town) == ("running", "running")
    assert causes(town) == set()


def test_a_failed_start_does_not_block_a_stop_and_a_start(world: World) -> None:
    town = world.stopped_town()
    world.fly.sick.add(str(town.pk))
    ask_and_settle(world, town, "start")
    world.fly.sick.clear()
    ask_and_settle(world, town, "stop")
    ask_and_settle(world, town, "start")
    assert state(town) == ("running", "running")
    assert causes(town) == set()


def test_the_truth_is_adopted_at_the_deadline(world: World) -> None:
    town = world.stopped_town()
    ask(world, town, "start")
    world.drive()
    world.advance(301)  # no worker of ours all the while
    world.settle()
    assert state(town) == ("running", "running")
    assert event(town, "start_done").data["late"] is True


def test_a_machine_that_is_gone_is_recovered(world: World) -> None:
    town = world.stopped_town()
    old = world.lose_machine(town)
    operation = ask_and_settle(world, town, "start")
    assert state(town) == ("running", "running")
    assert operation.state == "superseded"
    assert newest(town).kind == "recover"
    assert town.machine_id != old
    assert world.marks(town)[0] == "first work"
    world.check()


def test_no_room_is_said_and_tried_again_on_the_same_volume(world: World) -> None:
    town = world.stopped_town()
    volume = world.volume(town)
    volume.has_room = False
    ask(world, town, "start")
    world.settle(100)
    assert state(town)[0] == "starting"
    assert "no room" in newest(town).message
    assert "--from-backup" in newest(town).message
    volume.has_room = True
    world.settle()
    assert state(town) == ("running", "running")
    assert town.volume_id == volume.id
    assert len(world.fly.volumes) == 1


def test_kilo_388_no_room_for_ever_ends_in_error_with_the_volume_untouched(world: World) -> None:
    town = world.stopped_town()
    world.volume(town).has_room = False
    ask_and_settle(world, town, "start")
    assert state(town)[0] == "error"
    assert "--from-backup" in town.status_reason
    assert len(world.fly.volumes) == 1
    assert world.volume(town).data is not None


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
def test_kilo_588_no_answer_proves_nothing_and_creates_nothing(
    world: World, error: Exception
) -> None:
    town = world.stopped_town()
    world.faults.fail("fly.get_machine", error, times=None)
    world.faults.fail("fly.list_machines", error, times=None)
    ask_and_settle(world, town, "start")
    assert state(town)[0] == "error"
    assert world.faults.count("fly.create_machine") == 1  # the one at its provisioning
    assert world.faults.count("fly.create_volume") == 1


def test_a_machine_that_falls_over_while_it_boots_is_started_again(world: World) -> None:
    town = world.stopped_town()
    ask(world, town, "start")
    world.drive()
    world.fly.crash(world.machine(town))
    world.settle()
    assert state(town) == ("running", "running")


def test_kilo_2703_a_start_that_changed_nothing_changes_no_status(world: World) -> None:
    """Fly takes the call and says 200, and the machine stays stopped: that is no running town."""
    town = world.stopped_town()
    world.fly.start_machine = lambda machine_id: None  # type: ignore[method-assign]  # no effect
    ask(world, town, "start")
    world.settle(290)
    assert state(town)[0] == "starting"
    world.settle()
    assert state(town)[0] == "error"
    assert "running" not in set(
        town.events.filter(operation=newest(town)).values_list("to_status", flat=True)
    )
    assert world.machine(town).state == "stopped"


def test_a_start_that_fly_refuses_changes_no_status(world: World) -> None:
    town = world.stopped_town()
    world.faults.fail("fly.start_machine", Unavailable("HTTP 500"), times=None)
    ask_and_settle(world, town, "start")
    assert state(town)[0] == "error"
    assert world.machine(town).state == "stopped"


def test_a_start_clears_why_it_was_stopped(world: World) -> None:
    town = world.stopped_town()
    assert town.stop_reason == "person"
    ask_and_settle(world, town, "start")
    assert town.stop_reason == ""


def test_stopping_while_it_starts_stops_it_afterwards(world: World) -> None:
    town = world.stopped_town()
    operation = ask(world, town, "start").operation
    world.drive()
    assert ask(world, town, "stop").operation == operation
    world.settle()
    assert state(town) == ("stopped", "stopped")
    assert town.stop_reason == "person"
    operation.refresh_from_db()
    assert operation.successor == newest(town, "stop")
