"""Towns in several apps: one whose lists are missing or wrong makes its own towns unknown, and no
others."""

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.sweeps.reconcile.asking import (
    LATER,
    actions,
    add_volume,
    old_volume_name,
    orphan,
    sweep,
    twin_of,
)
from tests.world import World
from tests.world.apps import FIRST, SECOND, running_in, several
from tests.world.asking import ask_and_settle, state
from towns import addresses, orphans
from towns.flows.left_over import clean_up
from towns.history import Actor
from towns.models import Alert, Breaker, Drill, Operation, Orphan, Sweep, Town
from towns.services.errors import Misconfigured, ServiceError, Unavailable
from towns.sweeps.reconcile import sweep_reconcile
from towns.words import OperationState

pytestmark = pytest.mark.django_db
SHELL = Actor.shell()
TOKEN = Misconfigured("Fly refuses the token (401).")
NO_APP = Misconfigured("Fly has no app “towns-1” (404).")


@pytest.fixture(autouse=True)
def both() -> Iterator[None]:
    with several():
        yield


@pytest.fixture
def first(world: World) -> list[Town]:
    return [running_in(world, FIRST, f"first-{number}") for number in range(5)]


@pytest.fixture
def second(world: World) -> list[Town]:
    return [running_in(world, SECOND, f"second-{number}") for number in range(7)]


def open_alerts() -> list[tuple[str, str, str]]:
    found = Alert.objects.filter(resolved_at=None, town=None).exclude(cause="orphans")
    return list(found.order_by("subject", "cause").values_list("subject", "cause", "severity"))


def untouched(towns: list[Town]) -> bool:
    begun = Operation.objects.filter(town__in=towns, state=OperationState.OPEN)
    return not begun.exists() and {state(one) for one in towns} == {("running", "running")}


def test_it_works(world: World, first: list[Town], second: list[Town]) -> None:
    report = sweep(world)
    assert (report.looked_at, report.handled, report.judged, report.unknown) == (12, [], [], {})


@pytest.mark.parametrize("error", [Unavailable("No answer."), TOKEN, NO_APP])
@pytest.mark.parametrize("call", ["fly.list_machines", "fly.list_volumes"])
def test_an_app_that_gives_no_list_makes_its_own_towns_unknown(
    world: World, first: list[Town], second: list[Town], error: ServiceError, call: str
) -> None:
    for town in (first[0], second[0]):
        world.lose_machine(town)
    world.fly.crash(world.machine(first[1]))
    world.faults.fail(call, error, times=None, app=FIRST)
    report = sweep(world)
    assert report.refused == ""
    assert report.unknown == {FIRST: str(error)}
    assert report.looked_at == 7
    assert actions(report) == [("machine_gone", "restart")]
    assert report.handled[0].drift.town.id == second[0].pk
    assert report.judged == [], "its machines and volumes are no orphans"
    assert untouched(first)
    world.faults.clear()
    assert {drift for drift, _ in actions(sweep(world))} == {"machine_gone", "machine_stopped"}


@pytest.mark.parametrize(
    ("error", "sweeps", "severity"), [(TOKEN, 1, "critical"), (Unavailable("-"), 3, "warning")]
)
def test_a_blind_app_is_told_once_and_closed(
    world: World,
    first: list[Town],
    second: list[Town],
    error: ServiceError,
    sweeps: int,
    severity: str,
) -> None:
    world.faults.fail("fly.list_*", error, times=None, app=FIRST)
    for number in range(1, 5):
        sweep(world)
        told = [(f"app:{FIRST}", "reconcile_blind", severity)] if number >= sweeps else []
        assert open_alerts() == told
    summary = Sweep.objects.filter(kind="reconcile")[0].summary
    assert (summary["blind"], summary["blind_apps"]) == (False, [FIRST])
    assert FIRST in summary["note"]
    world.faults.clear()
    sweep(world)
    assert open_alerts() == []


def test_when_no_app_gives_lists_the_fleet_is_unknown(
    world: World, first: list[Town], second: list[Town]
) -> None:
    world.faults.fail("fly.list_*", Unavailable("No answer."), times=None, app=FIRST)
    world.faults.fail("fly.list_*", TOKEN, times=None, app=SECOND)
    report = sweep(world)
    assert "nothing is known" in report.refused
    assert open_alerts() == [("fleet", "reconcile_blind", "critical")], "a refusal is told at once"
    assert untouched(first + second)


def test_many_gone_at_once_in_one_app_are_not_believed(
    world: World, first: list[Town], second: list[Town]
) -> None:
    """Two of twelve are too few for the fleet's rule; of the five of their app they are many."""
    for town in (*first[:2], second[0]):
        world.lose_machine(town)
    report = sweep(world)
    assert report.refused == ""
    [(app, why)] = report.unknown.items()
    assert app == FIRST
    assert why.startswith("2 of our 5 machines (40 %) are not in Fly's list.")
    assert "The app itself answers." in why
    assert actions(report) == [("machine_gone", "restart")]
    assert untouched(first)
    assert open_alerts() == [(f"app:{FIRST}", "reconcile_doubt", "critical")]


def test_an_emptied_app_loses_nobody(world: World, first: list[Town], second: list[Town]) -> None:
    kept = dict(world.fly.machines), dict(world.fly.volumes)
    old = add_volume(world, old_volume_name(first[0], 0), app=FIRST)
    world.advance(LATER)
    sweep(world)
    assert orphan(old.id).state == Orphan.State.REPORTED
    for town in first:
        world.fly.machines.pop(town.machine_id)
        world.fly.volumes.pop(town.volume_id)
    world.fly.volumes.pop(old.id)
    report = sweep(world)
    assert "lists no machine at all, but 5 of ours" in report.unknown[FIRST]
    assert untouched(first)
    assert orphan(old.id).state == Orphan.State.REPORTED, "unknown is not gone"
    world.fly.machines, world.fly.volumes = kept
    assert sweep(world).unknown == {}
    assert orphan(old.id).state == Orphan.State.GONE
    assert open_alerts() == []


def test_many_gone_over_all_apps_are_not_believed_either(
    world: World, first: list[Town], second: list[Town]
) -> None:
    """One of each app is not much there, but over the limit of the fleet when there are many."""
    for town in (first[0], second[0]):
        world.lose_machine(town)
    with override_settings(GASTOWN_RECOVERY_LIMIT=1):
        report = sweep(world)
    assert report.unknown == {}
    assert report.refused.startswith("2 of our 12 machines (17 %) are not in Fly's list.")
    assert report.refused.endswith("The apps answer.")
    assert open_alerts() == [("fleet", "reconcile_doubt", "critical")]
    assert untouched(first + second)


def test_a_second_look_that_one_app_refuses_leaves_the_others_theirs(
    world: World, first: list[Town], second: list[Town]
) -> None:
    for town in (first[0], second[0]):
        world.fly.crash(world.machine(town))
    world.faults.fail("fly.get_machine", TOKEN, times=None, app=FIRST)
    report = sweep(world)
    assert sorted(actions(report)) == [
        ("machine_stopped", "restart"),
        ("machine_stopped", "unsure"),
    ]
    assert untouched(first)


def test_an_orphan_in_the_second_app_is_found_and_destroyed_there(
    world: World, first: list[Town], second: list[Town]
) -> None:
    volume = add_volume(world, old_volume_name(second[0], 0), app=SECOND)
    world.advance(LATER)
    sweep(world)
    found = orphan(volume.id)
    assert (found.fly_app, found.town_id, found.cause) == (SECOND, second[0].pk, "old_volume")
    orphans.confirm(found.pk, actor=SHELL, now=world.now)
    world.advance(60)
    ask_and_settle(world, second[0], "backup")
    [cleared] = sweep(world).cleared
    assert cleared.asked, cleared.why
    world.advance(60)
    sweep(world)
    assert volume.id not in world.fly.volumes
    assert orphan(volume.id).state == Orphan.State.GONE


def test_an_orphan_keeps_its_app_listed_when_nothing_else_does(
    world: World, first: list[Town]
) -> None:
    volume = add_volume(world, old_volume_name(first[0], 0), app="given-up")
    world.advance(LATER)
    with several(f"{FIRST},given-up"):
        sweep(world)
    with several(FIRST):
        assert [one.thing.id for one in sweep(world).judged] == [volume.id]
        orphans.confirm(orphan(volume.id).pk, actor=SHELL, now=world.now, discard=True)
        [cleared] = sweep(world).cleared
    assert cleared.asked, cleared.why


def test_orphans_of_a_blind_app_stay_as_they_are(
    world: World, first: list[Town], second: list[Town]
) -> None:
    volume = add_volume(world, old_volume_name(second[0], 0), app=SECOND)
    world.advance(LATER)
    sweep(world)
    orphans.confirm(orphan(volume.id).pk, actor=SHELL, now=world.now, discard=True)
    world.fly.forget_volume(volume.id)
    world.faults.fail("fly.list_*", TOKEN, times=None, app=SECOND)
    assert sweep(world).cleared == []
    assert orphan(volume.id).state == Orphan.State.CONFIRMED


def test_a_twin_is_stopped_in_its_app(world: World, first: list[Town], second: list[Town]) -> None:
    town = second[0]
    Town.objects.filter(pk=town.pk).update(generation=2)
    world.machine(town).metadata["gastown_generation"] = "2"
    twin = twin_of(world, town, generation=1)
    world.fly.volumes[twin.volume_id].app = SECOND
    assert actions(sweep(world)) == [("twin", "stop")]
    assert {call.app for call in world.faults.calls if call.name == "fly.stop_machine"} == {SECOND}


def test_a_town_whose_app_is_not_named_any_more_is_compared_all_the_same(
    world: World, first: list[Town], second: list[Town]
) -> None:
    world.fly.crash(world.machine(second[0]))
    with several(FIRST):
        report = sweep(world)
        world.settle()
    assert (report.looked_at, actions(report)) == (12, [("machine_stopped", "restart")])
    assert state(second[0]) == ("running", "running")


def test_the_app_of_rows_from_before_is_recorded_where_fly_lists_them(
    world: World, first: list[Town], second: list[Town]
) -> None:
    Town.objects.update(fly_app="")
    with several("towns-{1..8}"):
        assert sweep(world).handled == []
    for town in first + second:
        town.refresh_from_db()
    assert {one.fly_app for one in first} == {FIRST}
    assert {one.fly_app for one in second} == {SECOND}


def test_one_from_before_that_no_list_shows_is_unknown_and_not_gone(
    world: World, first: list[Town], second: list[Town]
) -> None:
    Town.objects.filter(fly_app=SECOND).update(fly_app="")
    with several(f"{FIRST},towns-7"):
        report = sweep(world)
        assert (report.looked_at, report.handled, report.refused) == (5, [], "")
    assert untouched(second)
    with several():
        assert sweep(world).looked_at == 12


def test_a_plain_name_records_it_too(world: World) -> None:
    with several("towns"):
        town = world.running_town()
        Town.objects.update(fly_app="")
        sweep(world)
    town.refresh_from_db()
    assert town.fly_app == "towns"


def test_named_towns_are_looked_for_in_their_apps_alone(
    world: World, first: list[Town], second: list[Town]
) -> None:
    begin = len(world.faults.calls)
    report = sweep_reconcile(world.services, towns=second[:2])
    assert (report.looked_at, report.unknown) == (2, {})
    assert {call.app for call in world.faults.calls[begin:]} == {SECOND}


def test_what_a_drill_left_over_is_removed_in_its_app(
    world: World, first: list[Town], second: list[Town]
) -> None:
    ask_and_settle(world, second[0], "backup")
    ask_and_settle(world, second[0], "drill")
    drill = Drill.objects.get()
    left = add_volume(world, addresses.drill_volume_name(drill.pk), app=SECOND)
    Drill.objects.update(cleaned_at=None)
    world.faults.fail("fly.list_machines", TOKEN, times=1, app=FIRST)
    cleaned = clean_up(world.services)
    assert (cleaned.volumes, len(cleaned.problems)) == (1, 1)
    world.advance(60)
    clean_up(world.services)
    assert left.id not in world.fly.volumes
    assert Drill.objects.get().cleaned_at is not None


def test_an_app_that_is_down_is_a_scope_of_its_own(
    world: World, first: list[Town], second: list[Town]
) -> None:
    """Five of twelve machines stopped at once; of the second app none."""
    for town in first:
        world.fly.crash(world.machine(town))
    world.fly.crash(world.machine(second[0]))
    with override_settings(GASTOWN_BREAKER_PERCENT=60):
        report = sweep(world)
    assert list(Breaker.objects.values_list("scope", flat=True)) == [f"app:{FIRST}"]
    restarted = [one.drift.town.id for one in report.handled if one.action == "restart"]
    assert restarted == [second[0].pk]
