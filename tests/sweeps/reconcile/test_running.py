"""Towns that should run and don't: seen in Fly's list, proved by a second look, restarted."""

from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.test import override_settings

from tests.factories import make_operation
from tests.sweeps.reconcile.asking import (
    actions,
    after,
    neighbours,
    remember_list,
    sweep,
)
from tests.world import World
from tests.world.asking import ask, ask_and_settle, causes, event, newest, state
from tests.world.faults import Killed
from towns import automation
from towns.history import Actor
from towns.models import Breaker, LifecycleEvent, Operation, Town
from towns.services.errors import RateLimited, ServiceError, Unavailable
from towns.sweeps import repair_running, second_look
from towns.sweeps.reconcile import sweep_reconcile
from towns.words import OperationKind, OperationState

pytestmark = pytest.mark.django_db
ANN = Actor("ann")


def open_operations() -> int:
    return Operation.objects.filter(state=OperationState.OPEN).count()


def kinds(town: Town) -> list[str]:
    return list(LifecycleEvent.objects.filter(town=town).values_list("kind", flat=True))


def test_it_works(world: World) -> None:
    world.running_town("alpha")
    world.stopped_town("beta")
    report = sweep(world)
    assert (report.looked_at, report.handled, report.judged, report.refused) == (2, [], [], "")
    assert open_operations() == 0


def test_a_machine_stopped_behind_our_back_is_restarted_at_once(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    assert actions(sweep(world)) == [("machine_stopped", "restart")]
    seen = event(town, "drift")
    assert (seen.from_status, seen.to_status, seen.actor) == (
        "running",
        "unhealthy",
        "sweep:reconcile",
    )
    assert "ran out of memory" in seen.reason
    assert newest(town).reason == seen.reason
    world.settle()
    assert state(town) == ("running", "running")
    assert town.consecutive_failures == 0
    world.check()


def test_the_downtime_begins_when_the_machine_fell(world: World) -> None:
    town = world.running_town()
    fell_at = world.now
    world.fly.crash(world.machine(town))
    world.advance(100)
    sweep(world)
    town.refresh_from_db()
    assert town.episode_since == fell_at


@pytest.mark.parametrize("machine_state", ["stopped", "failed", "suspended"])
def test_each_state_that_needs_a_start_is_seen(world: World, machine_state: str) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    world.machine(town).state = machine_state
    assert actions(sweep(world)) == [("machine_stopped", "restart")]
    world.settle()
    assert state(town) == ("running", "running")


def test_a_stale_list_is_not_believed(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    fresh = remember_list(world)
    ask_and_settle(world, town, "restart")
    world.advance(60)
    assert actions(sweep(world)) == [("machine_stopped", "none")]
    assert state(town) == ("running", "running")
    fresh()
    assert sweep(world).handled == []


def test_a_town_whose_status_is_fresh_is_left_alone(world: World) -> None:
    """What an operation has just done may not be in the list yet."""
    town = world.running_town()
    world.fly.crash(world.machine(town))
    remember_list(world)
    ask_and_settle(world, town, "restart")
    Town.objects.update(status_since=world.now + timedelta(seconds=59))
    report = sweep(world)
    assert (report.looked_at, report.handled) == (0, [])


def test_a_town_with_an_operation_under_way_is_left_alone(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    make_operation(town, OperationKind.BACKUP, created_at=world.now, due_at=world.now)
    assert sweep(world).handled == []


@pytest.mark.parametrize("moment", ["fly.list_machines", "fly.list_volumes", "fly.get_machine"])
def test_kilo_1183_an_operation_that_begins_in_between_owns_the_town(
    world: World, moment: str
) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    after(world, moment, lambda: ask(world, town, "destroy"))
    assert [action for _, action in actions(sweep(world))] in ([], ["none"])
    assert state(town) == ("destroying", "destroyed")
    assert "drift" not in kinds(town)


def test_kilo_1183_one_that_changes_no_status_owns_it_too(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))

    def back_up() -> None:
        make_operation(town, OperationKind.BACKUP, created_at=world.now, due_at=world.now)

    after(world, "fly.get_machine", back_up)
    assert actions(sweep(world)) == [("machine_stopped", "none")]
    assert state(town) == ("running", "running")


@pytest.mark.parametrize("moment", ["before", "fly.get_machine"])
def test_a_drill_owns_no_town_and_makes_nobody_blind(world: World, moment: str) -> None:
    neighbours(world)
    town = world.running_town()
    world.fly.crash(world.machine(town))

    def drill() -> None:
        make_operation(town, OperationKind.DRILL, created_at=world.now, due_at=world.now)

    if moment == "before":
        drill()
    else:
        after(world, moment, drill)
    assert actions(sweep(world)) == [("machine_stopped", "restart")]
    assert newest(town, "restart").automatic


@pytest.mark.parametrize("error", [Unavailable("502."), RateLimited("busy.")])
def test_kilo_588_no_answer_is_no_absence(world: World, error: ServiceError) -> None:
    town, *_ = neighbours(world)
    world.lose_machine(town)
    world.faults.fail("fly.get_machine", error, times=None)
    report = sweep(world)
    assert actions(report) == [("machine_gone", "unsure")]
    assert report.unhandled == 1
    assert state(town) == ("running", "running")
    assert open_operations() == 0


def test_a_machine_that_is_gone_is_rebuilt_by_the_recovery(world: World) -> None:
    town, *_ = neighbours(world)
    world.lose_machine(town)
    assert actions(sweep(world)) == [("machine_gone", "restart")]
    assert "(404)" in event(town, "drift").reason
    world.settle()
    assert state(town) == ("running", "running")
    assert newest(town).kind == "recover"
    assert "first work" in world.marks(town)
    world.check()


def test_kilo_388_a_volume_on_a_full_host_is_one_restart_then_error(world: World) -> None:
    town = world.running_town()
    volume = world.volume(town)
    volume.has_room = False
    world.fly.crash(world.machine(town))
    sweep(world)
    world.settle()
    assert state(town) == ("error", "running")
    for _ in range(3):
        assert sweep(world).handled == []
    assert Operation.objects.filter(town=town, automatic=True).count() == 1
    assert causes(town) == {"restart_failed"}
    assert volume.id in world.fly.volumes


def test_kilo_1653_a_used_up_budget_means_error_and_no_further_restart(world: World) -> None:
    town = world.running_town()
    for minutes in (12, 20, 29):
        make_operation(
            town,
            OperationKind.RESTART,
            state=OperationState.SUCCEEDED,
            automatic=True,
            created_at=world.now - timedelta(minutes=minutes - 2),
        )
    world.fly.crash(world.machine(town))
    assert actions(sweep(world)) == [("machine_stopped", "error")]
    assert state(town)[0] == "error"
    assert causes(town) == {"restart_limit"}


def test_a_freeze_halts_the_restart_and_not_the_watching(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    automation.freeze("all", reason="window", actor=ANN, now=world.now)
    report = sweep(world)
    assert actions(report) == [("machine_stopped", "none")]
    assert state(town) == ("unhealthy", "running")
    assert event(town, "not_restarted").reason == "Automation is frozen by ann: window"
    sweep(world)
    assert kinds(town).count("not_restarted") == 1
    assert kinds(town).count("drift") == 1
    automation.thaw("all", actor=ANN, now=world.now)
    assert actions(sweep(world)) == [("machine_stopped", "restart")]


def test_a_hold_is_kept(world: World) -> None:
    town = world.running_town()
    Town.objects.update(hold_reason="support looks into it")
    world.fly.crash(world.machine(town))
    assert actions(sweep(world)) == [("machine_stopped", "none")]
    assert "support looks into it" in event(town, "not_restarted").reason


def test_many_stopped_at_once_open_the_breaker(world: World) -> None:
    for town in neighbours(world):
        world.fly.crash(world.machine(town))
    report = sweep(world)
    assert actions(report) == [("machine_stopped", "none")] * 6
    assert "fleet" in Breaker.objects.values_list("scope", flat=True)
    assert open_operations() == 0
    assert "6 of 6 machines of fleet are stopped" in report.handled[0].why


def test_once_a_canary_has_healed_those_that_were_down_before_stop_nothing_anew(
    world: World,
) -> None:
    for town in neighbours(world):
        world.fly.crash(world.machine(town))
    sweep(world)
    Breaker.objects.all().delete()  # as a canary that healed closes them
    world.advance(200)
    assert actions(sweep(world)) == [("machine_stopped", "restart")] * 6
    assert not Breaker.objects.exists()


def test_killed_once_the_breaker_is_open_it_stays_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for town in neighbours(world):
        world.fly.crash(world.machine(town))
    with monkeypatch.context() as patch:
        patch.setattr(repair_running, "_mark_unhealthy", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            sweep(world)
    assert "fleet" in Breaker.objects.values_list("scope", flat=True)
    world.advance(600)  # the sweep that died is given up
    assert actions(sweep(world)) == [("machine_stopped", "none")] * 6


@override_settings(GASTOWN_RESTARTS_AT_ONCE=2)
def test_no_more_restarts_than_the_budget(world: World) -> None:
    towns = neighbours(world, 25)
    for town in towns[:4]:
        world.fly.crash(world.machine(town))
    found = actions(sweep(world))
    assert found.count(("machine_stopped", "restart")) == 2
    assert found.count(("machine_stopped", "none")) == 2


def test_a_sweep_looks_at_so_many_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_look, "LIMIT", 2)
    towns = neighbours(world, 16)
    for town in towns[:3]:
        world.fly.crash(world.machine(town))
    assert sorted(action for _, action in actions(sweep(world))) == ["restart", "restart", "unsure"]
    world.settle()
    assert actions(sweep(world)) == [("machine_stopped", "restart")]


def test_a_fly_that_does_not_answer_is_not_asked_on(world: World) -> None:
    for town in neighbours(world):
        world.fly.crash(world.machine(town))
    world.faults.fail("fly.get_machine", Unavailable("No answer."), times=None)
    before = world.faults.count("fly.get_machine")
    assert actions(sweep(world)) == [("machine_stopped", "unsure")] * 6
    assert world.faults.count("fly.get_machine") == before + 3


@pytest.mark.parametrize("name", ["fly.list_volumes", "fly.get_machine"])
def test_killed_at_any_call_the_next_sweep_does_it(world: World, name: str) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    world.faults.fail(name, Killed())
    with pytest.raises(Killed):
        sweep(world)
    world.advance(600)  # the sweep that died is given up
    assert actions(sweep(world)) == [("machine_stopped", "restart")]


def test_kilo_4902_the_sweep_asks_no_sandbox(world: World) -> None:
    world.running_town("alpha")
    world.stopped_town("beta")
    before = len(world.faults.calls)
    sweep(world)
    assert world.faults.names()[before:] == ["fly.list_machines", "fly.list_volumes"]


def test_a_slot_is_swept_once(world: World) -> None:
    world.running_town()
    sweep(world)
    again = sweep_reconcile(world.services, slot=world.now)
    assert "swept already" in again.note


def test_a_dry_run_changes_nothing(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    before = kinds(town)
    assert actions(sweep(world, dry_run=True)) == [("machine_stopped", "restart")]
    assert state(town) == ("running", "running")
    assert kinds(town) == before


def named(world: World, towns: list[Town]) -> list[tuple[str, str]]:
    world.advance(60)
    return actions(sweep_reconcile(world.services, towns=towns))


def test_named_towns_are_just_those(world: World) -> None:
    town, other, *_ = neighbours(world)
    for one in (town, other):
        world.fly.crash(world.machine(one))
    assert named(world, [town]) == [("machine_stopped", "restart")]
    assert state(other) == ("running", "running")


def test_google_diskerase_an_empty_selection_is_nobody(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    assert named(world, []) == []
    assert state(town) == ("running", "running")
