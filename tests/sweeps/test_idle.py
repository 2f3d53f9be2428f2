"""The idle sweep: who is stopped, who is not, and what is written down of it."""

from datetime import timedelta

import pytest

from tests.factories import NOW, make_operation, make_town
from tests.sweeps.fakes import FakeFleet
from towns import actions, automation, interactions
from towns.history import Actor
from towns.models import Breaker, Operation, Town
from towns.sweeps.idle import sweep_idle
from towns.words import DesiredState, OperationKind, Status, StopReason

pytestmark = pytest.mark.django_db
LONG_AGO = NOW - timedelta(hours=2)


def idle_town(**fields: object) -> Town:
    """A town that nothing holds awake."""
    values: dict[str, object] = {
        "last_interaction_at": LONG_AGO,
        "awake_since": LONG_AGO,
        "last_checked_at": NOW - timedelta(minutes=1),
        "last_result": "ok",
        "health": {"polecats_active": 0},
    }
    return make_town(**{**values, **fields})


def stopped(fleet: FakeFleet) -> int:
    return sweep_idle(fleet.services, slot=NOW).stopped


def test_it_works(fleet: FakeFleet) -> None:
    town = idle_town()
    assert stopped(fleet) == 1
    town.refresh_from_db()
    assert (town.status, town.stop_reason) == (Status.STOPPING, StopReason.IDLE)
    assert town.desired_state == DesiredState.STOPPED
    operation = Operation.objects.get()
    assert (operation.kind, operation.automatic) == (OperationKind.STOP, True)


def test_coder_5003_the_event_has_the_rule_and_its_inputs(fleet: FakeFleet) -> None:
    town = idle_town()
    stopped(fleet)
    event = town.events.get()
    assert event.automatic
    assert event.actor == "sweep:idle"
    assert event.data["rule"] == "idle"
    assert event.data["idle_timeout_minutes"] == 30
    assert event.data["last_interaction_at"] == LONG_AGO.isoformat()


def test_coder_4729_an_automatic_stop_is_told_from_a_persons(fleet: FakeFleet) -> None:
    idle, stopped_by_hand = idle_town(), idle_town(auto_stop=False)
    stopped(fleet)
    actions.request_stop(stopped_by_hand.pk, actor=Actor("ann"), now=NOW)
    told = [
        (event.actor, event.automatic, event.town.stop_reason)
        for town in (idle, stopped_by_hand)
        for event in town.events.filter(kind="stop").select_related("town")
    ]
    assert told == [("sweep:idle", True, "idle"), ("ann", False, "person")]


def test_2i2c_2586_a_forgotten_tab_that_keeps_reconnecting_holds_for_four_hours(
    fleet: FakeFleet,
) -> None:
    town = idle_town(last_interaction_at=NOW)
    interactions.websocket_message(town, NOW)
    stopped_after = None
    for minute in range(3, 6 * 60, 3):
        fleet.clock.moment = NOW + timedelta(minutes=minute)
        town = Town.objects.get()
        if town.status != Status.RUNNING:
            break
        interactions.websocket_seen(town, fleet.clock.moment)
        Town.objects.update(last_checked_at=fleet.clock.moment)
        sweep_idle(fleet.services, slot=fleet.clock.moment)
        stopped_after = minute
    assert stopped_after == 4 * 60


@pytest.mark.parametrize(
    "fields",
    [
        {"health": {"polecats_active": 1}},
        {"health": {}},
        {"last_result": "unknown"},
        {"last_result": ""},
        {"last_checked_at": NOW - timedelta(minutes=6)},
        {"last_interaction_at": NOW - timedelta(minutes=29)},
        {"auto_stop": False},
        {"hold_reason": "x"},
        {"keep_awake_until": NOW + timedelta(minutes=1)},
        {"websocket_seen_at": NOW, "websocket_message_at": LONG_AGO},
        {"status": Status.UNHEALTHY},
        {"status": Status.STOPPED},
    ],
)
def test_who_is_held_is_not_stopped(fleet: FakeFleet, fields: dict[str, object]) -> None:
    idle_town(**fields)
    assert stopped(fleet) == 0
    assert not Operation.objects.exists()


def test_kilo_4902_the_sweep_asks_no_sandbox(fleet: FakeFleet) -> None:
    idle_town()
    stopped(fleet)
    assert fleet.sandboxes.asked == []


def test_a_town_with_an_operation_under_way_is_left_alone(fleet: FakeFleet) -> None:
    make_operation(idle_town(), OperationKind.BACKUP)
    assert stopped(fleet) == 0


def test_a_slot_is_swept_once(fleet: FakeFleet) -> None:
    assert stopped(fleet) == 0
    idle_town()
    assert stopped(fleet) == 0


def test_nothing_is_stopped_while_the_breaker_is_open(fleet: FakeFleet) -> None:
    idle_town(region="iad")
    other = idle_town(region="ams")
    Breaker.objects.create(scope="region:iad", state="open", reason="many fail", opened_at=NOW)
    assert stopped(fleet) == 1
    assert Operation.objects.get().town == other


def test_nothing_is_stopped_while_automation_is_frozen(fleet: FakeFleet) -> None:
    idle_town()
    automation.freeze("all", reason="change window", actor=Actor("ann"), now=NOW)
    report = sweep_idle(fleet.services, slot=NOW)
    assert report.stopped == 0
    assert "change window" in report.note


def test_a_freeze_ends_by_itself(fleet: FakeFleet) -> None:
    idle_town()
    automation.freeze(
        "all", reason="x", actor=Actor("ann"), now=NOW, until=NOW + timedelta(minutes=1)
    )
    fleet.clock.advance(60)
    assert stopped(fleet) == 1


def test_a_dry_run_says_who_would_be_stopped(fleet: FakeFleet) -> None:
    town = idle_town()
    report = sweep_idle(fleet.services, dry_run=True)
    assert [(one.town, one.stops) for one in report.decisions] == [(town, True)]
    assert not Operation.objects.exists()


def test_named_towns_say_what_holds_them(fleet: FakeFleet) -> None:
    town = idle_town(auto_stop=False)
    report = sweep_idle(fleet.services, towns=[town])
    assert report.decisions[0].held == ["auto_stop_off"]


def test_an_empty_selection_is_nobody(fleet: FakeFleet) -> None:
    idle_town()
    assert sweep_idle(fleet.services, towns=[]).stopped == 0
