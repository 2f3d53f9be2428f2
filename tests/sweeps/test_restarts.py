"""Restarts after a sweep: limits, the budget, and the platform-is-down rule."""

from datetime import timedelta

import pytest
from django.test import override_settings

from tests.factories import NOW, make_operation, make_town
from tests.sweeps.fakes import FakeFleet
from towns import alerts, automation, budgets
from towns.history import Actor
from towns.models import Alert, Breaker, Freeze, LifecycleEvent, Operation, Town
from towns.policy import BreakerMove, Share
from towns.rules import health_rules
from towns.sweeps import health
from towns.sweeps.health import begin_sweep, conclude, sweep_fleet
from towns.sweeps.restarts import Decision, _move, _restart, open_breaker
from towns.sweeps.running import Runner
from towns.words import OperationKind, OperationState, Status

pytestmark = pytest.mark.django_db


def failing_town(**fields: object) -> Town:
    """One more failure is its third."""
    return make_town(consecutive_failures=2, episode_since=NOW - timedelta(minutes=6), **fields)


def sweep(fleet: FakeFleet, number: int = 0) -> None:
    fleet.clock.moment = NOW + timedelta(minutes=3 * number)
    sweep_fleet(fleet.clock.moment, fleet.services)


def restarts() -> int:
    return Operation.objects.filter(kind=OperationKind.RESTART, state=OperationState.OPEN).count()


def reasons() -> list[str]:
    return list(
        LifecycleEvent.objects.filter(kind="not_restarted").values_list("reason", flat=True)
    )


def past_restart(town: Town, minutes_ago: int) -> None:
    make_operation(
        town,
        OperationKind.RESTART,
        state=OperationState.SUCCEEDED,
        automatic=True,
        created_at=NOW - timedelta(minutes=minutes_ago),
    )


def test_it_works(fleet: FakeFleet) -> None:
    fleet.break_town(failing_town())
    sweep(fleet)
    assert restarts() == 1


def test_kilo_1653_a_used_up_budget_means_error_and_no_further_restart(fleet: FakeFleet) -> None:
    town = failing_town()
    fleet.break_town(town)
    for minutes in (12, 20, 29):
        past_restart(town, minutes)
    sweep(fleet, 0)
    sweep(fleet, 1)
    town.refresh_from_db()
    assert town.status == Status.ERROR
    assert restarts() == 0
    assert [alert.cause for alert in town.alerts.all()] == ["restart_limit"]


def test_staff_can_clear_the_limit(fleet: FakeFleet) -> None:
    town = failing_town(restarts_cleared_at=NOW - timedelta(minutes=5))
    fleet.break_town(town)
    for minutes in (12, 20, 29):
        past_restart(town, minutes)
    sweep(fleet)
    assert restarts() == 1


def test_at_most_ten_restarts_are_under_way_the_longest_failing_first(fleet: FakeFleet) -> None:
    for _ in range(60):
        make_town()
    towns = [
        make_town(
            status=Status.UNHEALTHY,
            consecutive_failures=3,
            episode_since=NOW - timedelta(minutes=60 - number),
        )
        for number in range(12)
    ]
    for town in towns:
        fleet.break_town(town)
    sweep(fleet)
    assert restarts() == 10
    waiting = set(Town.objects.filter(status=Status.UNHEALTHY))
    assert waiting == set(towns[10:])
    assert len(reasons()) == 2
    assert "its turn later" in reasons()[0]


def test_many_newly_failing_towns_open_the_breaker(fleet: FakeFleet) -> None:
    victim = failing_town()
    towns = [make_town() for _ in range(5)]
    for town in [victim, *towns]:
        fleet.break_town(town)
    sweep(fleet)
    assert restarts() == 0
    assert {breaker.scope for breaker in Breaker.objects.all()} == {
        "fleet",
        "region:iad",
        "image:registry.test/town:1",
    }
    assert reasons() == ["the breaker of fleet is open: 5 of 6 towns (83 %) of fleet newly fail."]


def test_staff_get_one_alert_for_the_fleet(fleet: FakeFleet) -> None:
    for _ in range(6):
        fleet.break_town(make_town())
    sweep(fleet, 0)
    sweep(fleet, 1)
    assert Alert.objects.filter(subject="fleet", cause="platform_down").count() == 1


def test_the_rule_holds_for_a_region_alone(fleet: FakeFleet) -> None:
    for _ in range(40):
        make_town(region="iad", image="a")
    for _ in range(5):
        fleet.break_town(make_town(region="ams", image="b"))
    elsewhere = failing_town(region="iad", image="a")
    fleet.break_town(elsewhere)
    sweep(fleet)
    assert {breaker.scope for breaker in Breaker.objects.all()} == {"region:ams", "image:b"}
    assert Operation.objects.get().town == elsewhere


@override_settings(GASTOWN_BREAKER_PATIENCE_SECONDS=86_400)
def test_failures_go_on_being_counted_behind_an_open_breaker(fleet: FakeFleet) -> None:
    towns = [make_town() for _ in range(6)]
    for town in towns:
        fleet.break_town(town)
    for number in range(4):
        sweep(fleet, number)
    assert restarts() == 0
    assert set(Town.objects.values_list("consecutive_failures", flat=True)) == {4}


@override_settings(GASTOWN_BREAKER_PATIENCE_SECONDS=86_400)
def test_the_same_reason_is_told_once(fleet: FakeFleet) -> None:
    for _ in range(6):
        fleet.break_town(make_town())
    for number in range(5):
        sweep(fleet, number)
    assert len(reasons()) == 6


def test_reasons_that_come_by_turns_are_told_once_each(fleet: FakeFleet) -> None:
    """A town that fails for days must not fill its history."""
    make_town()
    fleet.break_town(failing_town())
    for number in range(6):
        if number % 2:
            automation.freeze("all", reason="change window", actor=Actor("ann"), now=NOW)
        else:
            automation.thaw("all", actor=Actor("ann"), now=NOW)
        fleet.fly.up = bool(number % 2)
        sweep(fleet, number)
    assert len(reasons()) == len(set(reasons())) == 2


@override_settings(GASTOWN_BREAKER_PATIENCE_SECONDS=86_400)
def test_below_the_line_one_canary_goes_first_and_opens_the_way(fleet: FakeFleet) -> None:
    towns = [make_town() for _ in range(20)]
    for town in towns[:6]:
        fleet.break_town(town)
    for number in range(3):
        sweep(fleet, number)
    for town in towns[3:6]:
        fleet.mend_town(town)
    sweep(fleet, 3)
    canary = Operation.objects.get()
    assert restarts() == 1
    sweep(fleet, 4)
    assert restarts() == 1, "the others wait for the canary"
    Operation.objects.filter(pk=canary.pk).update(state=OperationState.SUCCEEDED)
    sweep(fleet, 5)
    assert not Breaker.objects.exists()
    assert restarts() == 2
    assert Alert.objects.get(subject="fleet").resolution == "the canary healed"


def a_third_is_really_broken(fleet: FakeFleet) -> None:
    for town in [make_town() for _ in range(18)][:6]:
        fleet.break_town(town)
    sweep(fleet, 0)
    sweep(fleet, 1)


def test_a_third_that_never_heals_by_itself_gets_a_canary_in_the_end(fleet: FakeFleet) -> None:
    """Invariant 10: an open breaker would keep them unhealthy for ever."""
    a_third_is_really_broken(fleet)
    assert restarts() == 0
    sweep(fleet, 2)
    canary = Operation.objects.get()
    sweep(fleet, 3)
    assert restarts() == 1, "the others wait for the canary"
    Operation.objects.filter(pk=canary.pk).update(state=OperationState.SUCCEEDED)
    sweep(fleet, 4)
    assert not Breaker.objects.exists()
    assert restarts() == 5


def test_after_a_canary_that_failed_the_breaker_is_patient_again(fleet: FakeFleet) -> None:
    a_third_is_really_broken(fleet)
    sweep(fleet, 2)
    Operation.objects.update(
        state=OperationState.FAILED, finished_at=NOW + timedelta(minutes=3 * 3)
    )
    sweep(fleet, 3)
    sweep(fleet, 4)
    assert restarts() == 0
    sweep(fleet, 5)
    assert restarts() == 1


def test_a_canary_that_is_handed_over_to_recovery_did_not_fail(fleet: FakeFleet) -> None:
    a_third_is_really_broken(fleet)
    sweep(fleet, 2)
    Operation.objects.update(
        state=OperationState.SUPERSEDED, finished_at=NOW + timedelta(minutes=3 * 3)
    )
    sweep(fleet, 3)
    assert restarts() == 1, "another one is the canary"


def test_recoveries_that_are_held_do_not_use_the_budget_up(fleet: FakeFleet) -> None:
    """With a lost host whose towns wait for staff, everybody else is still restarted."""
    for _ in range(12):
        waiting = make_town(status=Status.RECOVERING)
        held = budgets.RECOVERY_IS_HELD
        make_operation(waiting, OperationKind.RECOVER, automatic=True, step=held)
    for _ in range(20):
        make_town()
    fleet.break_town(failing_town())
    sweep(fleet)
    assert restarts() == 1


def test_recoveries_at_work_do(fleet: FakeFleet) -> None:
    for _ in range(10):
        busy = make_town(status=Status.RECOVERING)
        make_operation(busy, OperationKind.RECOVER, automatic=True, step="make_machine")
    for _ in range(20):
        make_town()
    fleet.break_town(failing_town())
    sweep(fleet)
    assert restarts() == 0


def test_with_nobody_failing_it_closes(fleet: FakeFleet) -> None:
    towns = [make_town() for _ in range(6)]
    for town in towns:
        fleet.break_town(town)
    sweep(fleet, 0)
    for town in towns:
        fleet.mend_town(town)
    sweep(fleet, 1)
    assert not Breaker.objects.exists()
    assert Alert.objects.filter(resolved_at=None).count() == 0


def test_while_fly_does_not_answer_nobody_is_restarted(fleet: FakeFleet) -> None:
    make_town()
    fleet.break_town(failing_town())
    fleet.fly.up = False
    sweep(fleet, 0)
    assert restarts() == 0
    assert Breaker.objects.get().reason == "Fly's API does not answer."
    fleet.fly.up = True
    sweep(fleet, 1)
    assert restarts() == 1


def test_a_freeze_and_a_hold_stop_restarts_and_say_so(fleet: FakeFleet) -> None:
    make_town()
    held = failing_town(hold_reason="I look at it")
    fleet.break_town(held)
    sweep(fleet, 0)
    assert reasons() == ["staff hold it: I look at it"]
    automation.freeze("all", reason="change window", actor=Actor("ann"), now=NOW)
    other = failing_town()
    fleet.break_town(other)
    sweep(fleet, 1)
    assert "Automation is frozen by ann: change window" in reasons()
    assert restarts() == 0


def test_unknown_authorises_nothing(fleet: FakeFleet) -> None:
    make_town(status=Status.UNHEALTHY, consecutive_failures=5, episode_since=NOW)
    fleet.fly.up = fleet.r2.up = False
    fleet.break_town(Town.objects.get())
    sweep(fleet)
    assert restarts() == 0


def test_a_worker_killed_while_it_concludes_forgets_no_mass_failure(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: whoever concludes after it opens the breaker all the same."""
    victim = failing_town()
    for town in [victim, *(make_town() for _ in range(5))]:
        fleet.break_town(town)

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(health, "finish_sweep", kill)
        with pytest.raises(Killed):
            sweep(fleet)
    assert Breaker.objects.filter(scope="fleet").exists()
    sweep(fleet)
    assert restarts() == 0


class Dead(BaseException):
    """The worker is killed."""


def die(*_: object, **__: object) -> None:
    raise Dead


def test_a_worker_killed_while_it_opens_a_breaker_leaves_none_that_nobody_is_told_of(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        fleet.break_town(make_town())
    with monkeypatch.context() as patch:
        patch.setattr("towns.alerts.open_alert", die)
        with pytest.raises(Dead):
            sweep(fleet)
    assert not Breaker.objects.exists()
    sweep(fleet)
    assert Breaker.objects.filter(scope="fleet").exists()
    assert Alert.objects.filter(subject="fleet", resolved_at=None).count() == 1


def test_a_worker_killed_while_it_closes_a_breaker_leaves_no_alert_without_an_end(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    towns = [make_town() for _ in range(6)]
    for town in towns:
        fleet.break_town(town)
    sweep(fleet, 0)
    for town in towns:
        fleet.mend_town(town)
    with monkeypatch.context() as patch:
        patch.setattr("towns.alerts.resolve_alerts", die)
        with pytest.raises(Dead):
            sweep(fleet, 1)
    sweep(fleet, 1)
    assert not Breaker.objects.exists()
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_a_freeze_of_recovery_whose_time_is_over_closes_its_alert(fleet: FakeFleet) -> None:
    make_town()
    until = NOW + timedelta(minutes=2)
    alerts.open_alert(
        cause="recovery_frozen", subject="fleet", severity="critical", message="m", now=NOW
    )
    automation.freeze("recovery", reason="looks odd", actor=Actor("ann"), now=NOW, until=until)
    sweep(fleet, 0)
    assert Alert.objects.get().resolved_at is None
    sweep(fleet, 1)
    assert Alert.objects.get().resolved_at == Freeze.objects.get().thawed_at == until


def test_a_town_that_is_well_again_by_then_is_left_alone(fleet: FakeFleet) -> None:
    town = failing_town(status=Status.UNHEALTHY, last_result="failed")
    Town.objects.update(last_result="ok")
    assert _restart(town, health_rules(), NOW) == Decision(str(town), "none", "it is well again")
    assert restarts() == 0


def test_a_sweep_that_began_before_the_outage_closes_no_breaker(fleet: FakeFleet) -> None:
    """What it saw is older than what opened the breaker."""
    make_town()
    under_way = begin_sweep(NOW, NOW)
    assert under_way is not None
    Runner(under_way, fleet.services).run()
    fleet.clock.advance(60)
    open_breaker("fleet", "5 of 6 machines are gone.", Share(6, 5, 5), fleet.clock.now())
    fleet.clock.advance(60)
    conclude(under_way, fleet.services)
    assert Breaker.objects.get().scope == "fleet"
    assert Alert.objects.get(subject="fleet").resolved_at is None
    sweep(fleet, 1)
    assert not Breaker.objects.exists(), "one that began after it may"


@pytest.mark.parametrize("move", [BreakerMove.CANARY, BreakerMove.KEEP])
def test_who_concludes_beside_another_erases_no_canary(fleet: FakeFleet, move: BreakerMove) -> None:
    open_breaker("fleet", "5 of 6 fail.", Share(6, 5, 5), NOW)
    read_before = Breaker.objects.get()
    canary = make_operation(make_town(), OperationKind.RESTART, automatic=True)
    Breaker.objects.update(state=Breaker.State.CANARY, canary=canary)
    _move(read_before, move, NOW)
    assert Breaker.objects.get().canary == canary


def test_a_breaker_that_was_opened_anew_meanwhile_is_not_closed(fleet: FakeFleet) -> None:
    open_breaker("fleet", "5 of 6 fail.", Share(6, 5, 5), NOW)
    read_before = Breaker.objects.get()
    Breaker.objects.update(opened_at=NOW + timedelta(minutes=1))
    _move(read_before, BreakerMove.CLOSE, NOW + timedelta(minutes=2))
    assert Breaker.objects.exists()
    assert Alert.objects.get(subject="fleet").resolved_at is None
