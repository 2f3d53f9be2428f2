"""Replays of histories that the real sweeps and flows have made."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.replay.days import Days, live_by_chance
from towns import actions, automation
from towns.history import Actor
from towns.models import HealthCheck, LifecycleEvent, Town
from towns.replay.outcome import Totals, TownOutcome
from towns.replay.run import prepare, replay
from towns.replay.scenario import EVERY, scenario_with
from towns.words import OperationKind

pytestmark = pytest.mark.django_db
ANN = Actor("ann")


def outcomes(days: Days, *changes: str) -> list[TownOutcome]:
    """What each town's days would have been."""
    ready = prepare(scenario_with(changes), now=days.now, days=7)
    return list(ready.outcomes(sorted((days.town(n) for n in range(len(days.towns))), key=_key)))


def _key(town: Town) -> str:
    return str(town.pk)


def totals(days: Days, *changes: str) -> Totals:
    """The sums."""
    return replay(prepare(scenario_with(changes), now=days.now, days=7))


def stop_events(days: Days) -> dict[str, list[datetime]]:
    """The idle stops that were carried out, by town."""
    found: dict[str, list[datetime]] = {str(one): [] for one in days.towns}
    done = LifecycleEvent.objects.filter(kind="stop_done", automatic=True)
    for event in done.select_related("operation", "town__owner").order_by("at"):
        assert event.operation is not None
        found[str(event.town)].append(event.operation.created_at)
    return found


def restart_events(days: Days) -> dict[str, list[datetime]]:
    """The automatic restarts, by town."""
    found: dict[str, list[datetime]] = {str(one): [] for one in days.towns}
    events = LifecycleEvent.objects.filter(kind=OperationKind.RESTART, automatic=True)
    for event in events.select_related("town__owner").order_by("at"):
        found[str(event.town)].append(event.at)
    return found


def test_it_works() -> None:
    days = Days()
    days.visit()
    days.minutes(75)
    [one] = outcomes(days)
    assert len(one.would_stop) == 1, "it was idle once, and was stopped"
    assert [stop.at for stop in one.would_stop] == stop_events(days)[one.name]
    assert (one.differs, one.saved_seconds) == (False, 0)
    [sooner] = outcomes(days, "IDLE_TIMEOUT_MINUTES=15")
    earlier = one.would_stop[0].at - sooner.would_stop[0].at
    assert earlier == timedelta(minutes=15)
    assert sooner.saved_seconds == 15 * 60
    assert not sooner.would_stop[0].is_wrong(timedelta(minutes=5))


@pytest.mark.parametrize("seed", [1, 2])
def test_with_unchanged_settings_the_same_towns_are_stopped_and_restarted(seed: int) -> None:
    days = Days(("alpha", "beta", "gamma"))
    live_by_chance(days, hours=8, seed=seed)
    stopped, restarted = stop_events(days), restart_events(days)
    assert any(stopped.values()), "nobody was idle: the history is too lively to prove anything"
    for one in outcomes(days):
        assert [stop.at for stop in one.stopped] == stopped[one.name]
        assert [stop.at for stop in one.would_stop] == stopped[one.name]
        assert list(one.restarted) == restarted[one.name]
        assert list(one.would_restart) == restarted[one.name]
        assert not one.differs
        assert one.saved_seconds == pytest.approx(0, abs=1)
    _shorter_stops_no_later_and_longer_no_earlier(days)


def _shorter_stops_no_later_and_longer_no_earlier(days: Days) -> None:
    """On the same history, since making one is what takes long."""
    now = outcomes(days)
    for minutes, shorter in ((5, True), (60, False), (120, False)):  # their own: 10 to 45
        for one, other in zip(now, outcomes(days, f"{EVERY}={minutes}"), strict=True):
            first = [stop.at for stop in one.would_stop][:1]
            others = [stop.at for stop in other.would_stop][:1]
            if shorter:
                assert not first or others <= first, f"{minutes} min: {one.name} is stopped later"
                assert other.saved_seconds >= -180, f"{minutes} min: {one.name} sleeps less"
            else:
                assert not others or first <= others, f"{minutes} min: {one.name} stops earlier"
                assert other.saved_seconds <= 180, f"{minutes} min: {one.name} sleeps more"


def test_a_stop_whose_owner_comes_at_once_is_wrong() -> None:
    days = Days()
    days.visit()
    days.minutes(21)
    days.visit()  # 3 min after the sweep that would have stopped it
    days.minutes(12)
    [one] = outcomes(days, f"{EVERY}=15")
    [stop] = one.would_stop
    assert stop.is_wrong(timedelta(minutes=5))
    assert stop.back_at is not None
    counted = totals(days, f"{EVERY}=15")
    assert (counted.would_stop_wrong, counted.stops_wrong) == (1, 0)
    assert counted.listed[0]["wrong"] == [stop.at.isoformat()]


def test_a_real_wrong_stop_would_not_have_been_with_a_longer_timeout() -> None:
    days = Days()
    days.visit()
    days.minutes(36)
    assert days.town().status == "stopped"
    days.visit()
    days.minutes(9)
    [one] = outcomes(days)
    assert [stop.is_wrong(timedelta(minutes=5)) for stop in one.stopped] == [True]
    [longer] = outcomes(days, f"{EVERY}=60")
    assert longer.would_stop == ()
    assert longer.saved_seconds < 0, "it would have been awake where it slept"


def test_work_that_the_stop_would_have_prevented_is_told() -> None:
    days = Days()
    days.visit()
    days.minutes(21)
    days.work(2)
    days.minutes(9)
    [one] = outcomes(days, f"{EVERY}=10")
    assert [stop.worked for stop in one.would_stop] == [True]


@pytest.mark.parametrize(
    "change",
    [{"auto_stop": False}, {"hold_reason": "look"}, {"keep_awake_until": "later"}],
    ids=["auto_stop", "hold", "keep_awake"],
)
def test_what_was_chosen_then_holds_in_the_replay(change: dict[str, object]) -> None:
    days = Days()
    days.visit()
    if "keep_awake_until" in change:
        change = {"keep_awake_until": days.now + timedelta(hours=2)}
    actions.change_town(days.town().pk, change, actor=ANN, now=days.now)
    days.minutes(60)
    back: dict[str, object] = {"auto_stop": True, "hold_reason": "", "keep_awake_until": None}
    actions.change_town(days.town().pk, back, actor=ANN, now=days.now)
    [one] = outcomes(days, f"{EVERY}=10")
    assert one.would_stop == (), "as it was chosen, then; not as it is now"


def test_a_town_with_its_own_timeout_keeps_it_unless_every_one_is_changed() -> None:
    days = Days()
    change = {"idle_timeout_minutes": 40}
    actions.change_town(days.town().pk, change, actor=ANN, now=days.now)
    days.visit()
    days.minutes(60)
    usual, own, every = (
        [stop.at for stop in outcomes(days, *changes)[0].would_stop]
        for changes in ((), ("IDLE_TIMEOUT_MINUTES=10",), (f"{EVERY}=10",))
    )
    assert usual == own
    assert usual[0] - every[0] == timedelta(minutes=30)


def test_while_automation_was_frozen_nothing_is_decided() -> None:
    days = Days()
    days.visit()
    automation.freeze("all", reason="window", actor=ANN, now=days.now)
    days.minutes(45)
    automation.thaw("all", actor=ANN, now=days.now)
    [one] = outcomes(days, f"{EVERY}=10")
    assert one.would_stop == ()
    days.minutes(3)
    [one] = outcomes(days, f"{EVERY}=10")
    assert len(one.would_stop) == 1


def test_fewer_failures_restart_sooner_and_a_lower_limit_gives_up() -> None:
    days = Days()
    days.slots(2)
    days.mute()
    days.slots(6)
    [one] = outcomes(days)
    assert one.would_restart == one.restarted != ()
    [sooner] = outcomes(days, "FAILURES_BEFORE_RESTART=2")
    wait = one.restarted[0] - sooner.would_restart[0]
    assert (len(sooner.would_restart), wait) == (1, timedelta(minutes=3))
    [later] = outcomes(days, "FAILURES_BEFORE_RESTART=5")
    assert later.would_restart[0] - one.restarted[0] == timedelta(minutes=6)


def test_without_recorded_use_what_really_happened_is_taken_over() -> None:
    days = Days()
    days.visit()
    days.minutes(45)
    HealthCheck.objects.update(connected=None, last_interaction_at=None)
    counted = totals(days, f"{EVERY}=10")
    assert (counted.stops, counted.would_stop, counted.towns_that_differ) == (1, 1, 0)
    assert counted.use_known_since is None
    assert counted.checks_without_use == counted.checks > 0


def test_a_fleet_costs_a_fixed_number_of_statements() -> None:
    days = Days(("alpha", "beta", "gamma", "delta"))
    days.minutes(9)
    ready = prepare(scenario_with([f"{EVERY}=10"]), now=days.now, days=7)
    counts = []
    for only in ([days.towns[0].pk], [town.pk for town in days.towns]):
        with CaptureQueriesContext(connection) as captured:
            assert replay(ready, only=only).towns == len(only)
        counts.append(len(captured))
    assert counts == [5, 5]


def test_an_outage_restarts_nobody_unless_its_line_were_higher() -> None:
    days = Days(("alpha", "beta", "gamma", "delta", "epsilon"))
    days.slots(1)
    for number in range(5):
        days.mute(number)
    days.slots(3)
    real = restart_events(days)
    assert [len(one.would_restart) for one in outcomes(days)] == [
        len(real[one.name]) for one in outcomes(days)
    ], "the breaker stood, but for its canary"
    counted = totals(days, "BREAKER_MIN_TOWNS=50")
    assert (counted.restarts, counted.would_restart) == (sum(map(len, real.values())), 5)
    assert counted.restarts < 5
