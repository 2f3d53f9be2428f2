"""What is not believed, and what is only told."""

import pytest

from tests.sweeps.reconcile.asking import actions, neighbours, orphan, sweep
from tests.world import World
from tests.world.asking import ask, causes, state
from towns.models import Alert, Operation, Orphan, Sweep, Town
from towns.services.errors import Misconfigured, Rejected, ServiceError, Unavailable
from towns.sweeps.reconcile import ReconcileReport, sweep_reconcile
from towns.words import OperationState

pytestmark = pytest.mark.django_db


def fleet_alerts() -> list[tuple[str, str]]:
    found = Alert.objects.filter(subject="fleet", resolved_at=None)
    return list(found.order_by("cause").values_list("cause", "severity"))


def nothing_was_done() -> bool:
    return (
        not Operation.objects.filter(state=OperationState.OPEN).exists()
        and not Orphan.objects.exists()
        and set(Town.objects.values_list("status", flat=True)) <= {"running", "stopped"}
    )


def test_an_unanswered_list_is_nothing_known(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    world.faults.fail("fly.list_machines", Unavailable("No answer."))
    report = sweep(world)
    assert "nothing is known" in report.refused
    assert nothing_was_done()
    assert fleet_alerts() == []


@pytest.mark.parametrize("name", ["fly.list_machines", "fly.list_volumes"])
def test_lists_that_stay_away_are_told_at_the_third_time(world: World, name: str) -> None:
    world.running_town()
    world.faults.fail(name, Unavailable("No answer."), times=3)
    for number in (1, 2, 3):
        sweep(world)
        expected = [("reconcile_blind", "warning")] if number == 3 else []
        assert fleet_alerts() == expected
    sweep(world)
    assert fleet_alerts() == []


@pytest.mark.parametrize(
    "error", [Misconfigured("Fly refuses the token (403)."), Rejected("404 to the list.")]
)
def test_a_bad_token_or_app_is_one_alert_and_no_loss(world: World, error: ServiceError) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    world.faults.fail("fly.list_*", error, times=None)
    for _ in range(2):
        sweep(world)
    assert fleet_alerts() == [("reconcile_blind", "critical")]
    assert nothing_was_done()
    world.faults.clear()
    sweep(world)
    assert fleet_alerts() == []


def test_an_empty_list_is_not_all_machines_gone(world: World) -> None:
    neighbours(world, 3)
    kept = dict(world.fly.machines)
    world.fly.machines.clear()
    report = sweep(world)
    assert report.refused.startswith("Fly lists no machine at all, but 3 of ours should be there.")
    assert "The app itself answers" in report.refused
    assert fleet_alerts() == [("reconcile_doubt", "critical")]
    assert nothing_was_done()
    assert world.faults.count("fly.get_machine") == sum(
        call.name == "fly.get_machine" and call.at < world.now for call in world.faults.calls
    )
    world.fly.machines.update(kept)
    assert sweep(world).refused == ""
    assert fleet_alerts() == []


def test_a_deleted_app_is_named(world: World) -> None:
    neighbours(world, 3)
    world.fly.machines.clear()
    world.faults.fail("fly.get_app", Misconfigured("Fly has no app “towns”."))
    assert "Fly has no app “towns”." in sweep(world).refused
    assert nothing_was_done()


def test_an_empty_list_of_volumes_is_not_believed_either(world: World) -> None:
    neighbours(world, 3)
    world.fly.volumes.clear()
    assert sweep(world).refused.startswith("Fly lists no volume at all")
    assert nothing_was_done()


def test_many_gone_at_once_are_not_believed(world: World) -> None:
    towns = neighbours(world, 8)
    for town in towns[:2]:
        world.lose_machine(town)
    assert sweep(world).refused.startswith("2 of our 8 machines (25 %) are not in Fly's list.")
    assert nothing_was_done()


def test_a_dry_run_writes_nothing(world: World) -> None:
    neighbours(world, 3)
    world.fly.machines.clear()
    assert "Fly lists no machine" in sweep(world, dry_run=True).refused
    assert fleet_alerts() == []
    assert not Sweep.objects.exists()


def gone_asleep(world: World) -> Town:
    neighbours(world)
    town = world.stopped_town()
    world.lose_machine(town)
    return town


def test_a_stopped_town_whose_machine_is_gone_is_told_and_not_rebuilt(world: World) -> None:
    town = gone_asleep(world)
    assert actions(sweep(world)) == [("machine_gone", "report")]
    assert causes(town) == {"machine_gone"}
    assert state(town) == ("stopped", "stopped")
    before = world.faults.count("fly.get_machine")
    assert actions(sweep(world)) == [("machine_gone", "report")]
    assert world.faults.count("fly.get_machine") == before, "it was proved already"
    ask(world, town, "start")
    world.settle()
    assert state(town) == ("running", "running")
    assert causes(town) == set()


def test_kilo_588_a_stopped_town_is_not_gone_without_a_404(world: World) -> None:
    town = gone_asleep(world)
    world.faults.fail("fly.get_machine", Unavailable("502."))
    assert actions(sweep(world)) == [("machine_gone", "unsure")]
    assert causes(town) == set()


def test_what_was_proved_gone_before_is_no_doubt(world: World) -> None:
    """Stopped towns whose machines went one by one don't end all reconciliation for ever."""
    neighbours(world)
    for number in range(3):
        town = world.stopped_town(f"asleep-{number}")
        world.lose_machine(town)
        assert sweep(world).refused == ""
    assert Alert.objects.filter(cause="machine_gone", resolved_at=None).count() == 3


def test_many_that_are_lost_indeed_are_confirmed_by_naming_them(world: World) -> None:
    """A host was lost, and the machines of its sleeping towns with it: no state without an exit."""
    neighbours(world)
    lost = [world.stopped_town(f"asleep-{number}") for number in range(7)]
    for town in lost:
        world.lose_machine(town)
    assert "`manage.py sweep_reconcile TOWN …`" in doubt_of(sweep(world))
    report = sweep_reconcile(world.services, towns=lost)
    assert (report.refused, actions(report)) == ("", [("machine_gone", "report")] * 7)
    assert fleet_alerts() == [("reconcile_doubt", "critical")], "the fleet was not looked at"
    assert sweep(world).refused == ""
    assert fleet_alerts() == []


def test_naming_towns_proves_nothing_by_itself(world: World) -> None:
    towns = [*neighbours(world, 3), world.stopped_town()]
    listed = dict(world.fly.machines)
    for town in towns[1:]:
        del listed[town.machine_id]
    stale = [one for one in world.fly.list_machines() if one.id in listed]
    world.fly.list_machines = lambda **_: stale  # type: ignore[method-assign]  # a partial list
    report = sweep_reconcile(world.services, towns=towns)
    assert {action for _, action in actions(report)} == {"none"}
    assert nothing_was_done()


def test_an_empty_list_is_not_believed_of_named_towns_either(world: World) -> None:
    town = world.running_town()
    world.fly.machines.clear()
    assert "no machine at all" in sweep_reconcile(world.services, towns=[town]).refused
    assert nothing_was_done()


def doubt_of(report: ReconcileReport) -> str:
    """What the alert says."""
    assert report.refused
    return Alert.objects.get(cause="reconcile_doubt", resolved_at=None).message


def test_a_lost_volume_is_told(world: World) -> None:
    neighbours(world)
    town = world.stopped_town()
    lost = world.lose_volume(town)
    assert actions(sweep(world)) == [("volume_gone", "report")]
    assert causes(town) == {"volume_gone"}
    ask(world, town, "start")
    world.settle()
    sweep(world)
    assert state(town) == ("running", "running")
    assert causes(town) == set()
    assert lost not in world.fly.volumes


def test_a_wrong_region_is_told_and_left(world: World) -> None:
    town = world.running_town()
    Town.objects.update(region="iad")
    report = sweep(world)
    assert actions(report) == [("wrong_region", "report")] * 2
    assert causes(town) == {"wrong_region"}
    Town.objects.update(region="ams")
    sweep(world)
    assert causes(town) == set()


def test_an_alert_is_not_closed_by_what_is_not_seen(world: World) -> None:
    neighbours(world)
    town = world.stopped_town()
    world.machine(town).region = "iad"
    sweep(world)
    assert causes(town) == {"wrong_region"}
    world.lose_machine(town)
    sweep(world)
    assert causes(town) == {"wrong_region", "machine_gone"}


def test_kilo_6271_another_volume_than_the_recorded_one_is_told(world: World) -> None:
    town, other = world.running_town("alpha"), world.running_town("beta")
    own, mounted = town.volume_id, other.volume_id
    world.machine(town).volume_id = mounted
    found = actions(sweep(world))
    assert ("wrong_volume", "report") in found
    assert "wrong_volume" in causes(town)
    assert {own, mounted} <= set(world.fly.volumes)


def test_a_wrong_image_is_only_in_the_report(world: World) -> None:
    town = world.running_town()
    world.machine(town).image = "registry.test/town:0"
    assert actions(sweep(world)) == [("wrong_image", "report")]
    assert causes(town) == set()


def test_a_machine_that_no_operation_recorded_is_told(world: World) -> None:
    town = world.stopped_town()
    machine_id = town.machine_id
    Town.objects.update(machine_id="")
    world.advance(1000)
    assert actions(sweep(world)) == [("unrecorded_machine", "report")]
    assert causes(town) == {"unrecorded_machine"}
    assert not Orphan.objects.filter(fly_id=machine_id).exists()
    ask(world, town, "start")
    world.settle()
    sweep(world)
    assert causes(town) == set()
    town.refresh_from_db()
    assert town.machine_id == machine_id
    with pytest.raises(Orphan.DoesNotExist):
        orphan(machine_id)
