"""The health sweep: what it stores, what it counts, what it leaves alone."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import NOW, make_operation, make_town
from tests.sweeps.fakes import FakeFleet, answer, good_report, silence
from towns.models import HealthCheck, LifecycleEvent, Operation, Sweep, Town
from towns.probe import ProbeProblem
from towns.sweeps.health import begin_sweep, look_only, sweep_fleet, sweep_named
from towns.sweeps.running import Runner
from towns.words import CheckResult, OperationKind, Status

pytestmark = pytest.mark.django_db


def sweep(fleet: FakeFleet, number: int = 0) -> dict[str, int]:
    """Sweep slot number `number`, three minutes after the one before."""
    fleet.clock.moment = NOW + timedelta(minutes=3 * number)
    return sweep_fleet(fleet.clock.moment, fleet.services).results


def fresh(town: Town) -> Town:
    return Town.objects.get(pk=town.pk)


def events(town: Town) -> list[str]:
    return list(town.events.order_by("id").values_list("kind", flat=True))


def test_it_works(fleet: FakeFleet) -> None:
    town = make_town()
    fleet.sandboxes.reports[str(town.pk)] = {"polecats_active": 2, "cpu_ratio": 0.5}
    assert sweep(fleet) == {"ok": 1}
    check = HealthCheck.objects.get()
    assert (check.town, check.slot, check.result) == (town, NOW, CheckResult.OK)
    town = fresh(town)
    assert town.last_checked_at == town.last_ok_at == town.last_heartbeat_at == NOW
    assert (town.figure("polecats_active"), town.figure("cpu_ratio")) == (2, 0.5)


def test_kilo_4902_only_active_towns_at_rest_are_asked(fleet: FakeFleet) -> None:
    """Sweeps over a stopped town make no request, however many."""
    asked = [make_town(), make_town(status=Status.UNHEALTHY)]
    for status in set(Status) - {Status.RUNNING, Status.UNHEALTHY}:
        make_town(status=status, destroyed_at=NOW if status == Status.DESTROYED else None)
    make_operation(make_town(), OperationKind.BACKUP)
    for number in range(3):
        sweep(fleet, number)
    assert sorted(fleet.sandboxes.asked) == sorted(3 * [str(town.pk) for town in asked])


def test_kilo_4349_three_time_outs_make_it_unhealthy_and_restart_it(fleet: FakeFleet) -> None:
    """Whatever Fly says of its machine."""
    town = make_town()
    fleet.break_town(town)
    sweep(fleet, 0)
    sweep(fleet, 1)
    assert (fresh(town).status, fresh(town).consecutive_failures) == (Status.RUNNING, 2)
    sweep(fleet, 2)
    assert fresh(town).status == Status.RESTARTING
    assert events(town) == ["unhealthy", "restart"]
    restart = Operation.objects.get()
    assert restart.automatic
    assert restart.actor == "sweep:health"
    assert town.events.get(kind="restart").data["failures"] == 3


def test_kilo_4362_a_success_closes_the_episode_with_cause_and_downtime(fleet: FakeFleet) -> None:
    town = make_town()
    fleet.break_town(town)
    sweep(fleet, 0)
    assert fresh(town).episode_since == NOW
    fleet.mend_town(town)
    sweep(fleet, 1)
    assert (fresh(town).consecutive_failures, fresh(town).episode_since) == (0, None)
    closed = town.events.get(kind="episode_closed")
    assert closed.data == {"cause": "timeout", "downtime_seconds": 180, "failures": 1}


def test_an_unhealthy_town_that_answers_runs_again(fleet: FakeFleet) -> None:
    town = make_town(status=Status.UNHEALTHY, consecutive_failures=4, episode_since=NOW)
    sweep(fleet, 1)
    assert fresh(town).status == Status.RUNNING
    assert town.events.get().kind == "recovered"


def test_an_episode_keeps_its_first_failure(fleet: FakeFleet) -> None:
    town = make_town()
    fleet.break_town(town)
    sweep(fleet, 0)
    sweep(fleet, 1)
    assert fresh(town).episode_since == NOW


def test_unknown_counts_neither_way(fleet: FakeFleet) -> None:
    town = make_town(consecutive_failures=2, episode_since=NOW)
    fleet.break_town(town, silence(ProbeProblem.FORBIDDEN, "403"))
    assert sweep(fleet) == {"unknown": 1}
    assert (fresh(town).status, fresh(town).consecutive_failures) == (Status.RUNNING, 2)
    assert HealthCheck.objects.get().kind == "key_refused"


def test_kilo_4362_our_own_network_down_makes_no_failure(fleet: FakeFleet) -> None:
    town = make_town(consecutive_failures=2, episode_since=NOW)
    fleet.break_town(town)
    fleet.fly.up = fleet.r2.up = False
    assert sweep(fleet) == {"unknown": 1}
    assert fresh(town).consecutive_failures == 2
    assert HealthCheck.objects.get().kind == "our_network"


def test_kilo_4362_a_gap_in_our_monitoring_counts_as_nothing(fleet: FakeFleet) -> None:
    town = make_town()
    fleet.break_town(town)
    sweep(fleet, 0)
    sweep(fleet, 40)
    assert fresh(town).consecutive_failures == 2


def test_kilo_1452_a_sweep_is_no_interaction(fleet: FakeFleet) -> None:
    town = make_town(last_interaction_at=NOW - timedelta(hours=1))
    sweep(fleet)
    assert fresh(town).last_interaction_at == NOW - timedelta(hours=1)


def test_a_slot_is_swept_once(fleet: FakeFleet) -> None:
    town = make_town()
    fleet.break_town(town)
    sweep(fleet)
    assert sweep(fleet) == {}
    assert fresh(town).consecutive_failures == 1


def test_an_operation_that_began_meanwhile_makes_it_unknown(fleet: FakeFleet) -> None:
    """Kilo #1183: what another operation owns is left alone."""
    town = make_town(consecutive_failures=2, episode_since=NOW)
    fleet.break_town(town)
    fleet.sandboxes.while_asking = lambda: void(make_operation(town, OperationKind.BACKUP))
    assert sweep(fleet) == {"unknown": 1}
    assert HealthCheck.objects.get().kind == "operation_began"
    assert fresh(town).consecutive_failures == 2


def void(_: object) -> None:
    """Ignore a value."""


def test_a_sweep_never_runs_over_itself(fleet: FakeFleet) -> None:
    make_town()
    assert begin_sweep(NOW, NOW) is not None
    assert begin_sweep(NOW + timedelta(minutes=3), NOW + timedelta(minutes=3)) is None
    from towns.models import Alert

    assert Alert.objects.get().cause == "sweep_late"


def test_a_sweep_that_was_given_up_is_no_obstacle(fleet: FakeFleet) -> None:
    make_town()
    begin_sweep(NOW, NOW)
    later = NOW + timedelta(minutes=9)
    assert begin_sweep(later, later) is not None
    assert Sweep.objects.get(slot=NOW).summary == {"given_up": True}


@pytest.mark.parametrize("minutes", [11, -11])
def test_a_clock_that_jumps_loses_nothing(fleet: FakeFleet, minutes: int) -> None:
    town = make_town(consecutive_failures=1, episode_since=NOW)
    fleet.break_town(town)
    sweep(fleet)
    fleet.clock.moment = NOW + timedelta(minutes=minutes)
    slot = NOW + timedelta(minutes=12 if minutes > 0 else -12)
    sweep_fleet(slot, fleet.services)
    assert fresh(town).consecutive_failures == 3
    assert fresh(town).status == Status.RESTARTING


def test_named_towns_are_asked_at_once_whatever_the_slot(fleet: FakeFleet) -> None:
    town, other = make_town(), make_town()
    sweep(fleet)
    report = sweep_named([town], fleet.services)
    assert report.results == {"ok": 1, "skipped": 0}
    assert fleet.sandboxes.asked.count(str(town.pk)) == 2
    assert fleet.sandboxes.asked.count(str(other.pk)) == 1


def test_google_diskerase_no_names_at_all_ask_nobody(fleet: FakeFleet) -> None:
    make_town()
    assert sweep_named([], fleet.services).results == {}
    assert fleet.sandboxes.asked == []


def test_a_dry_run_changes_nothing(fleet: FakeFleet) -> None:
    town = make_town(consecutive_failures=2, episode_since=NOW)
    fleet.break_town(town)
    assert look_only(fleet.services).results == {"failed": 1}
    assert fresh(town).consecutive_failures == 2
    assert not HealthCheck.objects.exists()
    assert not LifecycleEvent.objects.exists()


def test_a_stale_heartbeat_alerts_once_and_is_no_failure(fleet: FakeFleet) -> None:
    town = make_town()
    old = NOW - timedelta(minutes=11)
    fleet.sandboxes.reports[str(town.pk)] = {"daemon_heartbeat_at": old}
    assert sweep(fleet, 0) == {"ok": 1}
    sweep(fleet, 1)
    alert = town.alerts.get()
    assert (alert.cause, alert.resolved_at) == ("stale_heartbeat", None)
    fleet.sandboxes.reports[str(town.pk)] = {"daemon_heartbeat_at": None}
    sweep(fleet, 2)
    assert town.alerts.get().resolved_at is None, "a missing figure is no evidence"
    del fleet.sandboxes.reports[str(town.pk)]
    sweep(fleet, 3)
    assert town.alerts.get().resolved_at is not None


@pytest.mark.parametrize(
    ("used", "cause"),
    [(79, None), (80, "disk_warning"), (94, "disk_warning"), (95, "disk_critical")],
)
def test_a_full_disk_alerts_and_is_no_failure(
    fleet: FakeFleet, used: int, cause: str | None
) -> None:
    town = make_town()
    fleet.sandboxes.reports[str(town.pk)] = {"disk_used": used, "disk_total": 100}
    assert sweep(fleet) == {"ok": 1}
    found = town.alerts.first()
    assert (found.cause if found else None) == cause


def test_the_answer_of_another_town_brings_no_figures(fleet: FakeFleet) -> None:
    town = make_town()
    fleet.break_town(town, answer(good_report("another", polecats_active=9)))
    assert sweep(fleet) == {"failed": 1}
    assert fresh(town).figure("polecats_active") is None


def statements(fleet: FakeFleet, slot: datetime) -> int:
    begun = begin_sweep(slot, slot)
    assert begun is not None
    fleet.clock.moment = slot
    with CaptureQueriesContext(
        connection,
    ) as captured:
        Runner(begun, fleet.services).run()
    return len(captured)


def test_a_chunk_costs_a_fixed_number_of_statements(fleet: FakeFleet) -> None:
    """Whatever goes wrong in it, and in however many towns."""

    def cost(number: int, times: int) -> int:
        Sweep.objects.update(finished_at=NOW)
        Town.objects.update(machine_id="")
        for _ in range(times):
            fleet.break_town(make_town())
            fleet.break_town(make_town(consecutive_failures=2, episode_since=NOW))
            fleet.sandboxes.reports[str(make_town().pk)] = {"disk_used": 99, "disk_total": 100}
            make_town()
        return statements(fleet, NOW + timedelta(minutes=3 * number))

    few, many = cost(0, 1), cost(1, 8)
    assert many == few


def test_a_chunk_of_towns_that_are_well_costs_next_to_nothing(fleet: FakeFleet) -> None:
    for _ in range(30):
        make_town()
    assert statements(fleet, NOW) <= 24
    assert HealthCheck.objects.filter(result="ok").count() == 30
