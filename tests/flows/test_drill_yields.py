"""Restore drills give way to whatever else is wanted, and leave nothing behind."""

import pytest
from django.conf import settings
from django.test import override_settings

from tests.flows.drills import assert_nothing_left, backed_up, clean_up, drilled, under_way
from tests.world import Killed, Moment, World
from tests.world.asking import ask, causes, event, newest, state
from towns import actions, interactions
from towns.actions import NotAllowed
from towns.flows import left_over
from towns.history import Actor
from towns.models import Drill, Operation
from towns.services.errors import Unavailable
from towns.sweeps.health import sweep_named
from towns.words import InteractionKind

pytestmark = pytest.mark.django_db
MINUTE = 60


# What was made is found, and goes


@pytest.mark.parametrize("call", ["fly.create_volume", "fly.create_machine"])
def test_what_was_made_but_not_saved_is_adopted(world: World, call: str) -> None:
    town = backed_up(world)
    ask(world, town, "drill")
    world.faults.fail(call, Killed(), moment=Moment.AFTER)
    world.settle()
    drill = Drill.objects.get()
    assert world.deaths == 1
    assert drill.result == "ok"
    assert world.faults.count(call) == 2, "one for the town, one for the drill"
    assert_nothing_left(world, drill)


def test_a_time_out_after_the_effect_makes_no_second_one(world: World) -> None:
    town = backed_up(world)
    ask(world, town, "drill")
    for call in ("fly.create_volume", "fly.create_machine"):
        world.faults.fail(call, Unavailable("time-out"), moment=Moment.AFTER)
    world.settle()
    drill = Drill.objects.get()
    assert drill.result == "ok"
    assert len(world.fly.volumes) == 1
    assert_nothing_left(world, drill)


def test_a_drill_waits_no_longer_than_that_for_its_clean_up(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    world.faults.fail("fly.destroy_*", Unavailable("503"), times=None)
    world.settle(20 * MINUTE)
    drill.refresh_from_db()
    assert (drill.result, drill.cleaned_at) == ("ok", None)
    assert newest(town, "drill").state == "succeeded"
    assert len(world.fly.drills()) == 1
    world.faults.clear()
    clean_up(world)
    drill.refresh_from_db()
    assert drill.cleaned_at is not None
    assert_nothing_left(world, drill)


# Whatever is wanted comes first


@pytest.mark.parametrize("wanted", ["stop", "restart", "backup", "destroy"])
def test_whatever_is_asked_for_begins_at_once(world: World, wanted: str) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    requested = ask(world, town, wanted)
    assert requested.created
    assert requested.operation.kind == wanted
    operation = Operation.objects.get(pk=drill.pk)
    assert operation.state == "superseded"
    drill.refresh_from_db()
    assert (drill.result, drill.reason) == (
        "inconclusive",
        f"Called off: {wanted} was asked for.",
    )
    assert event(town, "drill_called_off").operation_id == drill.pk
    world.settle()
    expected = {"stop": "stopped", "destroy": "destroyed"}.get(wanted, "running")
    assert state(town)[0] == expected
    assert causes(town) == set()
    clean_up(world)
    drill.refresh_from_db()
    assert drill.cleaned_at is not None
    assert_nothing_left(world, drill)
    world.check()


def test_a_visit_wakes_a_town_whose_drill_is_under_way_at_once(world: World) -> None:
    town = world.stopped_town(idle=True)
    under_way(world, town)
    town.refresh_from_db()
    owner = Actor.person(town.owner)
    operation = interactions.visit(town, actor=owner, kind=InteractionKind.VISIT, now=world.now)
    assert operation is not None
    assert operation.kind == "start"
    world.settle()
    assert state(town) == ("running", "running")
    clean_up(world)
    assert_nothing_left(world, Drill.objects.get())
    world.check()


def test_a_refused_request_calls_nothing_off(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    with pytest.raises(NotAllowed, match="is running already"):
        ask(world, town, "start")
    world.settle()
    drill.refresh_from_db()
    assert drill.result == "ok"


def test_kilo_1183_a_worker_that_hangs_while_it_is_called_off_writes_nothing(
    world: World,
) -> None:
    town = backed_up(world)
    ask(world, town, "drill")
    asked: list[str] = []

    def call_off(call: object, moment: Moment) -> None:
        if getattr(call, "name", "") == "fly.create_machine" and moment == Moment.BEFORE:
            asked.append("stop")
            world.faults.hooks.clear()
            ask(world, town, "stop")
            left_over.clean_up(world.services)  # too early: there is no machine yet

    world.faults.hooks.append(call_off)
    world.settle()
    assert asked
    drill = Drill.objects.get()
    assert drill.machine_id == "", "it was made, but could not be saved any more"
    assert len(world.fly.drills()) == 1
    clean_up(world)
    assert_nothing_left(world, drill)
    assert state(town) == ("stopped", "stopped")


def test_only_what_carries_our_mark_is_removed(world: World) -> None:
    """Google's Diskerase: an empty selection means nothing."""
    town = backed_up(world)
    drill = drilled(world, town)
    machine = world.machine(town)
    Drill.objects.filter(pk=drill.pk).update(
        machine_id=machine.id, volume_id=machine.volume_id, cleaned_at=None
    )
    clean_up(world)
    assert world.machine(town) is machine
    assert machine.state == "started"
    assert world.volume(town).state == "created"


def test_a_drill_that_is_unknown_here_is_left_alone(world: World) -> None:
    town = backed_up(world)
    drill = under_way(world, town)
    Operation.objects.filter(pk=drill.pk).update(state="failed")
    Drill.objects.all().delete()
    drilled_now = drilled(world, town)
    clean_up(world)
    assert len(world.fly.drills()) == 1
    assert drilled_now.cleaned_at is not None


def test_sweeps_look_at_a_town_in_a_drill_as_at_any_other(world: World) -> None:
    town = backed_up(world)
    under_way(world, town)
    town.refresh_from_db()
    assert sweep_named([town], world.services).results == {"ok": 1, "skipped": 0}


def test_a_status_that_changed_meanwhile_is_kept(world: World) -> None:
    town = backed_up(world)
    under_way(world, town)
    world.process(town).mute = True
    world.advance(world.pace.create + world.pace.boot)
    world.fly.crash(world.fly.drills()[0])
    with override_settings(GASTOWN_RESTARTS_AT_ONCE=0):
        for _ in range(settings.GASTOWN_FAILURES_BEFORE_RESTART):
            sweep_named([town], world.services)
    assert state(town)[0] == "unhealthy"
    world.settle()
    assert newest(town, "drill").state == "failed"
    assert state(town)[0] == "unhealthy"


# Asking for one


def test_one_at_a_time(world: World) -> None:
    town = backed_up(world)
    first = ask(world, town, "drill")
    again = ask(world, town, "drill")
    assert not again.created
    assert again.operation == first.operation
    assert again.note == "A drill is under way already."


def test_without_a_backup_there_is_nothing_to_drill(world: World) -> None:
    town = world.running_town()
    with pytest.raises(NotAllowed, match="has no backup yet"):
        ask(world, town, "drill")


def test_it_waits_for_nothing_that_is_under_way(world: World) -> None:
    town = backed_up(world)
    ask(world, town, "restart")
    with pytest.raises(NotAllowed, match="restart is under way"):
        actions.request_drill(town.pk, actor=Actor.shell(), now=world.now)
