"""The fleet-wide budget of restarts, when several sweeps conclude at the same moment."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from tests.factories import NOW, make_operation, make_town
from tests.sweeps.fakes import FakeFleet
from towns import actions, budgets
from towns.flows import finish
from towns.flows.run import Run
from towns.models import Breaker, LifecycleEvent, Operation, Town
from towns.sweeps import planning, restarts
from towns.sweeps.restarts import Decision, decide_restarts
from towns.words import OperationKind, OperationState, Status

pytestmark = pytest.mark.django_db


def failed_town(number: int, **fields: object) -> Town:
    """One that is due for its restart."""
    return make_town(
        status=Status.UNHEALTHY,
        last_result="failed",
        consecutive_failures=3,
        episode_since=NOW - timedelta(minutes=60 - number),
        **fields,
    )


def under_way() -> int:
    return Operation.objects.filter(state=OperationState.OPEN, automatic=True).count()


def in_between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen once, after a sweep has looked and before it acts."""
    look, left = planning.past_restarts, [happens]

    def interrupted(*args: Any) -> Any:
        if left:
            left.pop()()
        return look(*args)

    monkeypatch.setattr(restarts, "past_restarts", interrupted)


def by_action(decisions: list[Decision]) -> dict[str, int]:
    return {one: [d.action for d in decisions].count(one) for one in ("restart", "none", "error")}


def test_it_works_for_a_sweep_that_another_one_overtakes(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(14):
        failed_town(number)
    in_between(monkeypatch, lambda: decide_restarts(fleet.services, NOW))
    decisions = decide_restarts(fleet.services, NOW)
    assert under_way() == 10
    assert by_action(decisions) == {"restart": 0, "none": 14, "error": 0}
    assert [d.why for d in decisions[10:]] == [
        "10 automatic restarts are under way; it is its turn later"
    ] * 4


def test_who_was_overtaken_takes_what_is_left(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    towns = [failed_town(number) for number in range(14)]
    first = [town.pk for town in towns[:4]]
    in_between(monkeypatch, lambda: decide_restarts(fleet.services, NOW, only=first))
    decisions = decide_restarts(fleet.services, NOW)
    assert under_way() == 10
    assert by_action(decisions) == {"restart": 6, "none": 8, "error": 0}


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_conclude_at_the_same_moment(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have counted before either begins; each goes from another end through the fleet."""
    towns = [failed_town(number) for number in range(24)]
    gate = threading.Barrier(2)
    look = planning.past_restarts

    def together(*args: Any) -> Any:
        found = look(*args)
        if len(args[0]) > 1:  # not the look at one town under the lock
            gate.wait(30)
        return found

    monkeypatch.setattr(restarts, "past_restarts", together)
    found: list[list[Decision]] = []

    def conclude(part: list[Town]) -> None:
        try:
            ids = [town.pk for town in part]
            found.append(decide_restarts(fleet.services, NOW, only=ids))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=conclude, args=[part]) for part in (towns[:12], towns[12:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert under_way() == 10
    assert sum(by_action(part)["restart"] for part in found) == 10
    assert sum(by_action(part)["none"] for part in found) == 14


def test_two_sweeps_send_one_canary(fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        failed_town(number)
    Breaker.objects.create(
        scope="fleet", state=Breaker.State.CANARY, reason="many failed", opened_at=NOW
    )
    in_between(monkeypatch, lambda: decide_restarts(fleet.services, NOW))
    decide_restarts(fleet.services, NOW)
    assert under_way() == 1
    assert Breaker.objects.get().canary == Operation.objects.get()


def test_a_canary_is_known_as_one_from_its_first_moment(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker killed between the restart and its note would have had a second one sent."""
    failed_town(1)
    Breaker.objects.create(
        scope="fleet", state=Breaker.State.CANARY, reason="many failed", opened_at=NOW
    )

    class Killed(BaseException):
        pass

    request = actions.request_restart

    def kill(*args: Any, **fields: Any) -> None:
        request(*args, **fields)
        raise Killed

    monkeypatch.setattr(actions, "request_restart", kill)
    with pytest.raises(Killed):
        decide_restarts(fleet.services, NOW)
    assert under_way() == 0


def while_it_waits(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen once, while a sweep waits for the lock of the budget."""
    lock, left = budgets.lock_restart_room, [happens]

    def wait() -> int:
        if left:
            left.pop()()
        return lock()

    monkeypatch.setattr(budgets, "lock_restart_room", wait)


def test_a_canary_that_was_sent_while_it_waited_is_the_only_one(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        failed_town(number)
    Breaker.objects.create(
        scope="fleet", state=Breaker.State.CANARY, reason="many failed", opened_at=NOW
    )
    last = [Town.objects.order_by("episode_since").last()]
    ids = [town.pk for town in last if town is not None]
    while_it_waits(monkeypatch, lambda: decide_restarts(fleet.services, NOW, only=ids))
    decide_restarts(fleet.services, NOW)
    assert under_way() == 1


def test_a_breaker_that_closes_while_it_waited_is_no_obstacle(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_town(1)
    Breaker.objects.create(
        scope="fleet", state=Breaker.State.CANARY, reason="many failed", opened_at=NOW
    )
    while_it_waits(monkeypatch, Breaker.objects.all().delete)
    decide_restarts(fleet.services, NOW)
    assert under_way() == 1


def test_a_breaker_that_opens_meanwhile_holds(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_town(1)
    in_between(
        monkeypatch,
        lambda: Breaker.objects.create(
            scope="fleet", state=Breaker.State.OPEN, reason="many failed", opened_at=NOW
        ),
    )
    decisions = decide_restarts(fleet.services, NOW)
    assert [d.why for d in decisions] == ["the breaker of fleet is open: many failed"]
    assert LifecycleEvent.objects.get(kind="not_restarted").reason == decisions[0].why
    assert under_way() == 0


def test_a_recovery_that_a_restart_was_handed_over_to_counts(fleet: FakeFleet) -> None:
    for number in range(12):
        failed_town(number)
    decide_restarts(fleet.services, NOW)
    for operation in Operation.objects.select_related("town__owner"):
        run = Run(operation=operation, town=operation.town, services=fleet.services)
        finish.hand_over(run, OperationKind.RECOVER, "Fly has no machine of this town any more.")
    assert set(
        Operation.objects.filter(state=OperationState.OPEN).values_list("kind", "automatic")
    ) == {("recover", True)}
    assert budgets.restarts_under_way() == 0, "they are held until there is room for them"
    Operation.objects.filter(kind="recover").update(step="prove_what_is_lost")
    assert budgets.restarts_under_way() == 10
    decisions = decide_restarts(fleet.services, NOW)
    assert by_action(decisions) == {"restart": 0, "none": 2, "error": 0}
    assert under_way() == 10


def test_a_sweep_that_was_paused_does_not_exceed_the_limit_of_a_town(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had seen two restarts; meanwhile the third was made, in vain."""
    town = failed_town(1)
    long_ago = NOW - timedelta(minutes=20)

    def restarted(count: int) -> None:
        for _ in range(count):
            operation = make_operation(town, OperationKind.RESTART, automatic=True, state="failed")
            Operation.objects.filter(pk=operation.pk).update(created_at=long_ago)

    def paused(*args: Any) -> Any:
        found = planning.past_restarts(*args)
        if Operation.objects.count() == 2:
            restarted(1)
        return found

    restarted(2)
    monkeypatch.setattr(restarts, "past_restarts", paused)
    [decision] = decide_restarts(fleet.services, NOW)
    assert (decision.action, under_way()) == ("none", 0)
    assert "3 automatic restarts" in decision.why
    [decision] = decide_restarts(fleet.services, NOW + timedelta(seconds=1))
    assert decision.action == "error"


def test_what_people_ask_for_takes_nobodys_turn(fleet: FakeFleet) -> None:
    for _ in range(10):
        make_operation(make_town(), OperationKind.RESTART, automatic=False)
    failed_town(1)
    decide_restarts(fleet.services, NOW)
    assert under_way() == 1


def test_the_look_without_a_lock_spares_the_rest_a_statement(
    fleet: FakeFleet, django_assert_num_queries: Any
) -> None:
    for number in range(40):
        failed_town(number)
    with override_settings(GASTOWN_RESTARTS_AT_ONCE=2):
        decide_restarts(fleet.services, NOW)
        with django_assert_num_queries(9):
            decide_restarts(fleet.services, NOW + timedelta(minutes=3))
