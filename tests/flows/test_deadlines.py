"""No state without an exit (product.md 1.7): each passing status ends, and destroy works in it."""

import pytest

from tests.world import World
from tests.world.asking import ask, causes, newest, state
from towns.flows.driver import claim
from towns.history import Actor
from towns.models import Operation, Town
from towns.services.errors import Unavailable
from towns.words import TRANSITIONS, OperationKind, Status

pytestmark = pytest.mark.django_db
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
