"""Flapping in the health sweep: one event, one alert, whatever happens in between."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.factories import NOW, make_town
from tests.sweeps.fakes import FakeFleet
from towns.models import Alert, Delivery, Sweep, Town
from towns.sweeps.health import begin_sweep, sweep_fleet
from towns.sweeps.running import Runner

pytestmark = pytest.mark.django_db
OPS = "ops@example.test"


def checks(fleet: FakeFleet, town: Town, pattern: str, start: int = 0) -> int:
    """One sweep a letter: `x` fails, `.` is well. Returns the number of the next sweep."""
    for number, letter in enumerate(pattern, start):
        (fleet.break_town if letter == "x" else fleet.mend_town)(town)
        fleet.clock.moment = NOW + timedelta(minutes=3 * number)
        sweep_fleet(fleet.clock.moment, fleet.services)
    town.refresh_from_db()
    return start + len(pattern)


def kinds(town: Town) -> list[str]:
    return list(town.events.order_by("id").values_list("kind", flat=True))


@override_settings(GASTOWN_STAFF_EMAILS=[OPS])
def test_it_works(fleet: FakeFleet) -> None:
    """Kilo #3376: one message per episode, and one for all of a flapping town's."""
    town = make_town()
    at = checks(fleet, town, "x.x.x.x.x.x.")
    assert kinds(town).count("flapping") == 1
    alert = Alert.objects.get()
    assert (alert.cause, alert.severity, alert.resolved_at) == ("flapping", "warning", None)
    assert town.flapping_since == NOW + timedelta(minutes=18)
    at = checks(fleet, town, "." * 9, at)
    assert Alert.objects.get().resolved_at is None, "the window is not over"
    checks(fleet, town, ".", at)
    assert Alert.objects.get().resolved_at == NOW + timedelta(minutes=33 + 30)
    told = Delivery.objects.order_by("pk").values_list("news", "recipient")
    assert list(told) == [("opened", OPS), ("resolved", OPS)], "who heard of it hears of its end"
    assert kinds(town)[-1] == "flapping_over"
    assert Town.objects.filter(flapping_since=None, flap_count=0).exists()


def test_three_episodes_are_no_news(fleet: FakeFleet) -> None:
    town = make_town()
    checks(fleet, town, "x.x.x." + "." * 10 + "x.")
    assert not Alert.objects.exists()
    assert town.flap_count == 1


def test_unknown_is_neither_an_episode_nor_quiet(fleet: FakeFleet) -> None:
    town = make_town()
    at = checks(fleet, town, "x.x.x.")
    fleet.fly.up = fleet.r2.up = False
    at = checks(fleet, town, "xxx", at)
    assert town.flap_count == 3
    fleet.fly.up = fleet.r2.up = True
    checks(fleet, town, "x.", at)
    assert town.flap_count == 4


def test_the_alert_is_opened_anew_after_a_quiet_time(fleet: FakeFleet) -> None:
    town = make_town()
    at = checks(fleet, town, "x.x.x.x." + "." * 10)
    checks(fleet, town, "x.x.x.x.", at)
    assert [alert.resolved_at is None for alert in Alert.objects.order_by("id")] == [False, True]


def test_many_that_flap_cost_no_more_statements_than_one(fleet: FakeFleet) -> None:
    def cost(number: int) -> int:
        slot = NOW + timedelta(minutes=3 * number)
        Sweep.objects.update(finished_at=NOW)
        fleet.clock.moment = slot
        begun = begin_sweep(slot, slot)
        assert begun is not None
        with CaptureQueriesContext(connection) as captured:
            Runner(begun, fleet.services).run()
        return len(captured)

    towns = [make_town() for _ in range(20)]
    for town in towns:
        fleet.break_town(town)
    ended = NOW - timedelta(minutes=5)
    Town.objects.filter(pk=towns[0].pk).update(flap_count=3, episode_ended_at=ended)
    one = cost(0)
    Town.objects.update(
        episode_since=None, flap_count=3, episode_ended_at=ended, flapping_since=None
    )
    assert cost(1) == one
    assert Alert.objects.filter(cause="flapping").count() == 20
    for town in towns:
        fleet.mend_town(town)
    just_now, long_ago = NOW + timedelta(minutes=5), NOW - timedelta(hours=1)
    Town.objects.update(episode_since=None, episode_ended_at=just_now)
    Town.objects.filter(pk=towns[0].pk).update(episode_ended_at=long_ago)
    one = cost(2)
    assert Alert.objects.filter(cause="flapping", resolved_at=None).count() == 19
    Town.objects.update(episode_ended_at=long_ago)
    calm = 2  # statements for the one that is well as it was before
    assert cost(3) <= one + calm
    assert not Alert.objects.filter(cause="flapping", resolved_at=None).exists()
