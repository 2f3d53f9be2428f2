"""No state without an exit (product.md 1.7): each passing status ends, and destroy works in it."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.world import SHELL, Call, Moment, World
from tests.world.asking import RULE, ask, causes, event, newest, state
from towns import automation
from towns.flows.driver import claim
from towns.history import Actor
from towns.models import Alert, Operation, Town
from towns.services.errors import RateLimited, Unavailable
from towns.words import TRANSITIONS, OperationKind, Status

pytestmark = pytest.mark.django_db
DAY = 24 * 3600
PASSING = {
    "provision": Status.ERROR,
    "start": Status.ERROR,
    "stop": Status.RUNNING,
    "restart": Status.ERROR,
    "recover": Status.ERROR,
    "restore": Status.DESTROYED,
}
every_passing = pytest.mark.parametrize("kind", PASSING)


def stuck(world: World, kind: str) -> Town:
    """A town whose operation gets nowhere: Fly says nothing more to it."""
    match kind:
        case "provision":
            town = world.create_town()
        case "start":
            town = world.stopped_town()
        case "restore":
            town = world.destroyed_town()
        case "recover":
            town = world.stopped_town()
            world.lose_machine(town)
        case _:
            town = world.running_town()
    if kind != "provision":
        ask(world, town, kind)
    world.faults.fly_down = True
    world.settle(30)
    assert state(town)[0] == TRANSITIONS[OperationKind(kind)].during, "it is in the passing status"
    return town


@every_passing
def test_kilo_1552_daytona_2236_gitpod_5005_every_deadline_ends_somewhere(
    world: World, kind: str
) -> None:
    """Stuck in starting, in stopping, in whatever passes: never for ever, never without a word."""
    town = stuck(world, kind)
    deadline = newest(town, kind).deadline_at
    assert deadline is not None
    world.settle((deadline - world.now).total_seconds() - 5)
    assert newest(town, kind).is_open, "it has its time"
    world.settle(70)
    if TRANSITIONS[OperationKind(kind)].failed == Status.DESTROYED:
        world.faults.clear()  # its clean-up has to reach Fly
        world.settle()
    assert state(town)[0] == PASSING[kind]
    assert f"{kind}_failed" in causes(town)
    assert "Not done after" in newest(town, kind).message


@pytest.mark.parametrize("kind", [kind for kind in PASSING if kind != "restore"])
def test_coder_12010_what_is_stuck_can_be_destroyed(world: World, kind: str) -> None:
    """At once, before its deadline."""
    town = stuck(world, kind)
    world.allow_discard(town)
    ask(world, town, "destroy", discard=True)
    world.settle(60)
    assert newest(town).kind == "destroy"
    world.faults.clear()
    world.settle(2 * 24 * 3600)
    assert state(town)[0] == "destroyed"
    world.advance(600)
    assert not world.fly.machines
    assert not world.fly.volumes


LAST = {
    "provision": "fly.create_machine",
    "start": "fly.start_machine",
    "stop": "fly.stop_machine",
    "restart": "fly.restart_machine",
    "recover": "fly.create_machine",
    "restore": "fly.create_machine",
}
"""The call with which Fly has been told all that it needs."""


def asked_for(world: World, kind: str) -> Town:
    """A town whose operation has just begun, all being well."""
    match kind:
        case "provision":
            return world.create_town()
        case "start":
            town = world.stopped_town()
        case "restore":
            town = world.destroyed_town()
        case "recover":
            town = world.stopped_town()
            world.lose_machine(town)
        case _:
            town = world.running_town()
    ask(world, town, kind)
    return town


def without_workers(world: World, town: Town, kind: str) -> None:
    """Let the whole of its time go by with nobody to see to it."""
    deadline = newest(town, kind).deadline_at
    assert deadline is not None
    world.clock.advance_to(max(deadline, world.now))
    world.advance(3600)
    world.settle()


@every_passing
def test_what_came_true_while_no_worker_was_there_is_adopted(world: World, kind: str) -> None:
    town = asked_for(world, kind)
    before = world.faults.count(LAST[kind])
    while world.faults.count(LAST[kind]) == before:
        world.settle(1)
    without_workers(world, town, kind)
    assert state(town)[0] == ("stopped" if kind == "stop" else "running")
    assert event(town, f"{kind}_done").data["late"] is True
    assert causes(town) == set()
    world.check()


@every_passing
def test_one_that_no_worker_saw_in_all_its_time_ends_all_the_same(world: World, kind: str) -> None:
    """A recovery's time begins when it may go on, and a town that runs need not be restarted."""
    town = asked_for(world, kind)
    without_workers(world, town, kind)
    if kind in ("recover", "restart"):
        assert state(town)[0] == "running"
        assert causes(town) == set()
        return
    assert state(town)[0] == PASSING[kind]
    assert causes(town) == {f"{kind}_failed"}
    assert f"Not done after {MINUTES[kind]} min" in newest(town, kind).message
    world.check()


MINUTES = {"provision": 10, "start": 5, "stop": 8, "restore": 30}


def test_a_recovery_that_is_held_loses_none_of_its_time_while_no_worker_is_there(
    world: World,
) -> None:
    town = world.running_town()
    world.lose_machine(town)
    automation.freeze("all", reason="Fly has an incident", actor=SHELL, now=world.now)
    ask(world, town, "restart", actor=RULE)
    world.settle(60)
    world.advance(24 * 3600)
    world.settle(60)
    assert state(town)[0] == "recovering"
    automation.thaw("all", actor=SHELL, now=world.now)
    world.settle()
    assert state(town)[0] == "running"


def test_a_recovery_that_is_held_records_why_once(world: World) -> None:
    town = world.running_town()
    world.lose_machine(town)
    automation.freeze("all", reason="Fly has an incident", actor=SHELL, now=world.now)
    ask(world, town, "restart", actor=RULE)
    world.settle(600)
    [told] = town.events.filter(kind="not_recovered")
    assert told.automatic
    assert told.reason == (
        "It is not recovered yet: Automation is frozen by shell: Fly has an incident"
    )


def test_no_pause_reaches_beyond_the_deadline(world: World) -> None:
    town = world.stopped_town()
    operation = ask(world, town, "start").operation
    world.faults.fail("fly.*", RateLimited("Too often.", retry_after=170), times=None)
    world.settle()
    operation.refresh_from_db()
    assert operation.finished_at is not None
    assert operation.deadline_at is not None
    assert operation.finished_at - operation.deadline_at <= timedelta(minutes=1, seconds=5)
    assert state(town)[0] == "error"


def test_what_takes_long_is_looked_at_less_and_less_often(world: World) -> None:
    town = world.stopped_town()
    world.pace.boot = 200
    ask(world, town, "start")
    looks: set[datetime] = set()

    def look(call: Call, moment: Moment) -> None:
        if call.name == "fly.get_machine":
            looks.add(world.now)

    world.faults.hooks.append(look)
    world.settle()
    assert state(town)[0] == "running"
    pauses = [(later - at).total_seconds() for at, later in pairwise(sorted(looks))]
    assert (pauses[1], max(pauses)) == (1, 10)
    assert 30 < len(pauses) < 60


def test_kilocode_6741_a_stop_whose_machine_is_gone_at_the_deadline_does_not_run_again(
    world: World,
) -> None:
    town = world.running_town()
    ask(world, town, "stop")
    world.drive()
    world.lose_machine(town)
    without_workers(world, town, "stop")
    assert state(town) == ("error", "stopped")
    assert "the next start recovers it" in town.status_reason
    assert causes(town) == {"stop_failed"}
    ask(world, town, "start")
    world.settle()
    assert state(town) == ("running", "running")


@pytest.mark.parametrize("what", ["machine", "volume"])
def test_kilo_3250_what_is_going_away_for_ever_is_not_asked_about_for_ever(
    world: World, what: str
) -> None:
    """Fly says `destroying`, and means it for days: looked at ever less often, shown, alerted."""
    town = world.running_town()
    thing = {"machine": town.machine_id, "volume": town.volume_id}[what]
    forget = {"machine": world.fly.forget_machine, "volume": world.fly.forget_volume}[what]
    if what == "machine":
        world.pace.destroy = 365 * DAY
    else:
        world.fly.forget_volume = lambda volume_id: None  # type: ignore[method-assign]  # it stays
    ask(world, town, "destroy")
    world.settle(600)
    calls = world.faults.count(f"fly.get_{what}")
    world.settle(7 * DAY)
    assert state(town)[0] == "destroying"
    assert world.faults.count(f"fly.get_{what}") - calls < 20
    assert "it is stuck at Fly" in newest(town).message
    assert causes(town) == {"destroy_failed"}
    world.pace.destroy = 5
    forget(thing)
    world.settle(2 * DAY)
    assert state(town)[0] == "destroyed"
    assert causes(town) == set()


def test_a_destroy_goes_on_when_fly_never_ends_to_stop_the_machine(world: World) -> None:
    town = world.running_town()
    machine = world.machine(town)

    def hang(machine_id: str, **_: object) -> None:
        machine.state = "stopping"

    world.fly.stop_machine = hang  # type: ignore[method-assign]  # the machine hangs
    ask(world, town, "destroy")
    world.settle(3600)
    assert state(town) == ("destroyed", "destroyed")
    assert world.r2.retained(town.pk).snapshots
    world.check()


def test_kilo_1552_a_restore_whose_clean_up_never_ends_is_told(world: World) -> None:
    """`restoring` goes on as long as something of it is left at Fly, but not unseen."""
    town = world.destroyed_town()
    world.fly.sick.add(str(town.pk))
    world.faults.fail("fly.destroy_machine", Unavailable("HTTP 500"), times=None)
    ask(world, town, "restore")
    world.settle(3600)
    assert state(town)[0] == "restoring"
    alert = Alert.objects.get(town=town, resolved_at=None)
    assert (alert.cause, alert.severity) == ("restore_failed", "critical")
    assert "the clean-up of its failed restore still fails after 10 tries" in alert.message
    world.faults.clear()
    world.settle(300)
    assert state(town)[0] == "destroyed"
    world.advance(600)
    assert not world.fly.machines
    assert not world.fly.volumes


def test_jupyterhub_1290_people_come_before_automation(world: World) -> None:
    """A herd of automatic restarts makes nobody wait who asked for a start."""
    herd = [world.running_town(f"herd-{number}") for number in range(4)]
    asleep = world.stopped_town("asleep")
    for town in herd:
        ask(world, town, "restart", actor=Actor.automation("sweep:health"))
    world.advance(5)
    ask(world, asleep, "start")
    world.advance(1)
    first, *_ = claim(world.now, owner="a worker", limit=1)
    assert first.town == asleep
    assert Operation.objects.filter(state="open").count() == 5


def test_gitpod_4991_a_backup_that_only_seemed_to_succeed_stops_nothing(world: World) -> None:
    """The sandbox says yes, and R2 never shows the snapshot: what R2 shows is what counts."""
    town = world.running_town()
    world.grow_idle(town)
    world.faults.fail("r2.verify*", Unavailable("R2 did not answer."), times=None)
    ask(world, town, "stop", actor=Actor.automation("sweep:idle"), idle=True)
    world.settle()
    assert world.faults.count("sandbox.request_sync") > 0
    assert world.faults.count("fly.stop_machine") == 0
    assert state(town) == ("running", "running")
