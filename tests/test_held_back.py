"""Freezes, holds and maintenance windows: they halt what a rule would do, and nothing else.

Every automatic action is here once for each kind of halt; so are the watching, and people.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.factories import NOW
from tests.world import SHELL, World
from tests.world.asking import RULE, ask, event, newest, state
from towns import actions, automation, interactions
from towns.changes import validated_changes
from towns.history import Actor
from towns.models import Alert, Freeze, HealthCheck, LifecycleEvent, Operation, Town
from towns.standing import read_standing
from towns.sweeps.backups import sweep_backups
from towns.sweeps.drills import see_to_drills
from towns.sweeps.health import sweep_fleet
from towns.sweeps.idle import sweep_idle
from towns.words import InteractionKind, OperationKind

pytestmark = pytest.mark.django_db
MINUTES = 60
Halt = Callable[[World, Town], None]


@pytest.fixture
def world() -> World:
    """A simulated outside."""
    return World()


def frozen(world: World, town: Town) -> None:
    automation.freeze("all", reason="because", actor=SHELL, now=world.now, until=later(world))


def held(world: World, town: Town) -> None:
    changes = validated_changes(now=world.now, hold_reason="because", hold_minutes=MINUTES)
    actions.change_town(town.pk, changes, actor=SHELL, now=world.now)


def window(scope: str) -> Halt:
    def plan(world: World, town: Town) -> None:
        automation.plan_window(
            scope.format(town=town),
            since=world.now,
            until=later(world),
            reason="because",
            actor=SHELL,
            now=world.now,
        )

    return plan


def later(world: World) -> datetime:
    return world.now + timedelta(minutes=MINUTES)


every_halt = pytest.mark.parametrize(
    "halt",
    [
        frozen,
        held,
        window("fleet"),
        window("region:{town.region}"),
        window("image:{town.image}"),
        window("town:{town.pk}"),
    ],
    ids=["freeze", "hold", "fleet", "region", "image", "town"],
)


def sweep(world: World, times: int = 1) -> None:
    """Both sweeps, so many times, each three minutes after the one before."""
    for _ in range(times):
        world.advance(180)
        sweep_fleet(world.now, world.services)
        sweep_idle(world.services, slot=world.now)


def end(world: World) -> None:
    """Let the halt end by itself."""
    world.advance(MINUTES * 60)


@every_halt
def test_no_restart_and_it_goes_on_by_itself(world: World, halt: Halt) -> None:
    town = world.running_town()
    halt(world, town)
    world.process(town).mute = True
    sweep(world, 5)
    assert state(town)[0] == "unhealthy"
    assert town.consecutive_failures == 5, "failures go on being counted"
    assert not town.operations.filter(kind=OperationKind.RESTART).exists()
    [told] = town.events.filter(kind="not_restarted")
    assert "because" in told.reason, "recorded, once"
    end(world)
    sweep(world)
    assert town.operations.get(kind=OperationKind.RESTART).automatic


@every_halt
def test_no_idle_stop_and_it_goes_on_by_itself(world: World, halt: Halt) -> None:
    town = world.running_town()
    halt(world, town)
    Town.objects.update(idle_timeout_minutes=5)
    sweep(world, 8)
    assert state(town)[0] == "running"
    told = [event.reason for event in town.events.filter(kind="not_stopped")]
    if halt is held:
        assert told == [], "it holds the town awake, which is no decision against a stop"
    else:
        assert len(told) == 1, "recorded, once"
        assert "because" in told[0]
    end(world)
    sweep(world)
    assert state(town) == ("stopping", "stopped")


@every_halt
def test_an_idle_stop_under_way_is_called_off(world: World, halt: Halt) -> None:
    town = world.running_town()
    world.grow_idle(town)
    ask(world, town, "stop", actor=Actor.automation("sweep:idle"), idle=True)
    halt(world, town)
    world.settle()
    assert state(town) == ("running", "running")
    assert town.events.filter(kind="stop_called_off").exists()


@every_halt
def test_no_recovery_and_it_goes_on_by_itself(world: World, halt: Halt) -> None:
    town = world.running_town()
    halt(world, town)
    world.lose_host(town)
    ask(world, town, "restart", actor=RULE)
    world.settle(1200)
    assert state(town)[0] == "recovering"
    assert "because" in newest(town, "recover").message
    assert not world.fly.machines
    world.settle(MINUTES * 60)
    assert state(town)[0] == "running"
    world.check()


@every_halt
def test_no_backup_is_asked_for_and_it_goes_on_by_itself(world: World, halt: Halt) -> None:
    town = world.running_town()
    halt(world, town)
    world.process(town).alive = False
    world.advance(20 * 60)
    assert sweep_backups(world.services, towns=[town]).asked == []
    end(world)
    assert sweep_backups(world.services, towns=[town]).asked == [str(town)]
    assert event(town, "backup").data["rule"] == "no fresh snapshot"


@every_halt
def test_no_drill_begins_and_it_goes_on_by_itself(world: World, halt: Halt) -> None:
    town = world.running_town()
    sweep_backups(world.services, towns=[town])  # its snapshot is known
    halt(world, town)
    assert see_to_drills(world.services).begun == []
    end(world)
    assert see_to_drills(world.services).begun == [str(town)]
    assert event(town, "drill").data["rule"] == "drilled longest ago"


@every_halt
def test_the_watching_goes_on(world: World, halt: Halt) -> None:
    town = world.running_town()
    halt(world, town)
    Town.objects.update(flap_count=3, episode_ended_at=world.now)
    world.process(town).mute = True
    sweep(world)
    assert HealthCheck.objects.latest("id").result == "failed"
    assert Alert.objects.filter(cause="flapping", resolved_at=None).exists()
    world.process(town).mute = False
    sweep(world)
    assert state(town)[0] == "running"
    assert town.events.filter(kind="episode_closed").exists()


@every_halt
@pytest.mark.parametrize("kind", ["restart", "stop", "backup", "destroy"])
def test_people_get_what_they_ask_for(world: World, halt: Halt, kind: str) -> None:
    town = world.running_town()
    halt(world, town)
    ask(world, town, kind)
    world.settle()
    assert newest(town, kind).state == "succeeded"


@every_halt
def test_people_start_restore_and_recover(world: World, halt: Halt) -> None:
    asleep, gone = world.stopped_town("asleep"), world.destroyed_town("gone")
    for town in (asleep, gone):
        halt(world, town)
    ask(world, asleep, "start")
    ask(world, gone, "restore")
    world.settle()
    assert (state(asleep)[0], state(gone)[0]) == ("running", "running")
    world.lose_machine(asleep)
    ask(world, asleep, "restart")
    world.settle()
    assert state(asleep)[0] == "running"


@every_halt
def test_a_visit_wakes_a_town(world: World, halt: Halt) -> None:
    """It is the owner's wish."""
    town = world.stopped_town(idle=True)
    halt(world, town)
    interactions.visit(
        town, actor=Actor.person(town.owner), kind=InteractionKind.VISIT, now=world.now
    )
    world.settle()
    assert state(town)[0] == "running"


@every_halt
def test_a_visit_wakes_a_town_whose_machine_is_lost(world: World, halt: Halt) -> None:
    town = world.stopped_town(idle=True)
    halt(world, town)
    world.lose_machine(town)
    interactions.visit(
        town, actor=Actor.person(town.owner), kind=InteractionKind.VISIT, now=world.now
    )
    world.settle()
    assert state(town)[0] == "running"


def test_a_window_to_come_holds_nothing_yet(world: World) -> None:
    town = world.running_town()
    plan = {"reason": "x", "actor": SHELL, "now": world.now}
    since, until = world.now + timedelta(minutes=10), world.now + timedelta(minutes=20)
    automation.plan_window("fleet", since=since, until=until, **plan)  # type: ignore[arg-type]  # one dict of several types
    found = read_standing(world.now)
    assert found.held_back(town, world.now) == []
    assert [one.cause for one in found.held_back(town, since)] == ["maintenance"]
    assert found.held_back(town, until) == []


def test_a_window_elsewhere_holds_nothing(world: World) -> None:
    town = world.running_town()
    for scope in ("region:iad", "image:other", "town:00000000-0000-0000-0000-000000000001"):
        window(scope)(world, town)
    assert read_standing(world.now).held_back(town, world.now) == []


def test_a_window_that_was_ended_holds_nothing(world: World) -> None:
    town = world.running_town()
    window("fleet")(world, town)
    [planned] = read_standing(world.now).windows
    assert automation.end_window(planned.pk, actor=SHELL, now=world.now)
    assert not automation.end_window(planned.pk, actor=SHELL, now=world.now)
    assert read_standing(world.now).held_back(town, world.now) == []


def test_what_has_expired_needs_no_cleaning_up(world: World) -> None:
    town = world.running_town()
    frozen(world, town)
    held(world, town)
    window("fleet")(world, town)
    end(world)
    town.refresh_from_db()
    assert read_standing(world.now).held_back(town, world.now) == []
    assert Freeze.objects.get().thawed_at is None, "nobody has cleaned up"


def test_an_expired_hold_is_none_in_the_database_either(world: World) -> None:
    """The idle sweep's filter and the rule say the same."""
    town = world.running_town()
    held(world, town)
    end(world)
    world.grow_idle(town)
    sweep_fleet(world.now, world.services)
    assert sweep_idle(world.services, slot=world.now).stopped == 1


def test_all_that_is_held_back_of_many_is_recorded_in_two_statements(world: World) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from tests.factories import make_town

    def cost(number: int) -> int:
        now = world.now
        for _ in range(number):
            make_town(
                last_interaction_at=now - timedelta(hours=2),
                awake_since=now - timedelta(hours=2),
                last_checked_at=now,
                last_result="ok",
                health={"polecats_active": 0},
            )

        with CaptureQueriesContext(connection) as captured:
            sweep_idle(world.services, slot=now)
        world.advance(1)
        return len(captured)

    automation.freeze("all", reason="because", actor=SHELL, now=NOW)
    few = cost(1)
    assert cost(20) == few
    assert LifecycleEvent.objects.filter(kind="not_stopped").count() == 21
    assert not Operation.objects.exists()
