"""What others do to the towns of a bulk run, and what its operations turn into."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError

from tests.factories import NOW, make_user
from tests.world import World
from tests.world.asking import ask, state
from towns.actions import REQUESTS
from towns.bulk_work import advance as module
from towns.bulk_work import deciding
from towns.bulk_work.advance import advance
from towns.bulk_work.plan import counts_of, make_plan
from towns.flows import finish
from towns.models import BulkRun, Town
from towns.services.errors import Unavailable
from towns.words import OperationKind

Begun = Callable[..., BulkRun]


@pytest.fixture
def bob(db: None, monkeypatch: pytest.MonkeyPatch) -> User:
    """Staff who may start and stop towns."""
    monkeypatch.setattr(deciding, "call_worker", lambda: None)
    rights = ("view_town", "start_town", "stop_town")
    return make_user("bob", is_staff=True, permissions=rights)


def begin(world: World, bob: User, kind: OperationKind, **how: Any) -> BulkRun:
    """A run over all towns."""
    run = make_plan(kind, Town.objects.all(), user=bob, selection="all", now=world.now)
    given = {"reason": "moving", "at_once": 5, "canaries": 0, "failures_allowed": 1, **how}
    assert deciding.begin(run.pk, user=bob, now=world.now, **given)
    return run


def counts(run: BulkRun) -> dict[str, int]:
    run.refresh_from_db()
    return dict(counts_of(run))


@pytest.mark.parametrize("kind", [OperationKind.START, OperationKind.STOP])
def test_a_destroy_that_was_asked_for_meanwhile_is_not_called_off(bob: User, kind: str) -> None:
    """A person who starts or stops one town changes its owner's mind; a list of towns does not."""
    world = World()
    stops = kind == OperationKind.STOP
    town = world.running_town() if stops else world.stopped_town()
    run = begin(world, bob, OperationKind(kind))
    if stops:
        ask(world, town, "backup")
    ask(world, town, "destroy")
    advance(run.pk, world.now)
    assert counts(run) == {"skipped": 1}
    assert "destroyed" in run.items.get().told
    assert state(town)[1] == "destroyed"


def test_a_start_that_turns_into_a_recovery_is_waited_for(bob: User) -> None:
    """Or a canary of towns whose machines are gone would tell nothing, and pace would not hold."""
    world = World()
    towns = [world.stopped_town(name) for name in ("alpha", "beta", "gamma")]
    for town in towns:
        world.lose_machine(town)
    run = begin(world, bob, OperationKind.START, canaries=1)
    advance(run.pk, world.now)
    world.drive()
    advance(run.pk, world.now)
    assert counts(run) == {"asked": 1, "waiting": 2}, "the canary is being recovered"
    world.faults.fail("fly.create_machine", Unavailable("HTTP 503"), times=None)
    world.settle()
    for _ in range(2):
        advance(run.pk, world.now)
    assert counts(run) == {"failed": 1, "waiting": 2}
    assert run.note == "The canary failed: nothing else was begun."


def test_a_recovery_that_succeeds_is_a_start_that_did(bob: User) -> None:
    world = World()
    world.lose_machine(world.stopped_town())
    run = begin(world, bob, OperationKind.START)
    advance(run.pk, world.now)
    world.settle()
    for _ in range(3):
        advance(run.pk, world.now)
    assert counts(run) == {"done": 1}
    operation = run.items.get().operation
    assert operation is not None
    assert operation.kind == OperationKind.RECOVER


def test_an_owner_who_wants_the_town_after_all_is_no_failure(bob: User) -> None:
    world = World()
    town = world.running_town()
    run = begin(world, bob, OperationKind.STOP, canaries=1)
    advance(run.pk, world.now)
    ask(world, town, "start")
    world.settle()
    for _ in range(2):
        advance(run.pk, world.now)
    assert state(town) == ("running", "running")
    assert counts(run) == {"skipped": 1}
    assert "Somebody wants it to run" in run.items.get().told
    assert run.state == "done"


def test_a_stop_that_is_begun_anew_is_waited_for(
    bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run takes an idle stop over at the moment when that is called off for work in it."""
    world = World()
    town = world.running_town()
    run = begin(world, bob, OperationKind.STOP)
    world.grow_idle(town)
    ask(world, town, "stop", idle=True)
    world.process(town).polecats_active = 1
    fail = finish.fail

    def fail_late(*given: Any, **how: Any) -> Any:
        advance(run.pk, world.now)
        return fail(*given, **how)

    monkeypatch.setattr(finish, "fail", fail_late)
    world.settle()
    assert state(town) == ("stopped", "stopped")
    for _ in range(2):
        advance(run.pk, world.now)
    assert counts(run) == {"done": 1}


def test_what_sleeps_already_is_done_at_once(bob: User) -> None:
    world = World()
    town = world.stopped_town(idle=True)
    run = begin(world, bob, OperationKind.STOP)
    town.operations.filter(kind="stop").update(state="failed", message="years ago")
    advance(run.pk, world.now)
    assert counts(run) == {"done": 1}
    town.refresh_from_db()
    assert town.stop_reason == "person"


def test_the_pace_holds_for_canaries_too(begun: Begun) -> None:
    run = begun(9, canaries=5, at_once=2)
    advance(run.pk, NOW)
    assert counts(run) == {"asked": 2, "waiting": 7}
    advance(run.pk, NOW)
    assert counts(run) == {"asked": 2, "waiting": 7}


def breaking(monkeypatch: pytest.MonkeyPatch, error: Exception, *, only: object = None) -> None:
    """Have requests raise, of all towns or of one."""
    ask_for = REQUESTS[OperationKind.STOP]

    def request(town_id: Any, **how: Any) -> Any:
        if only in (None, town_id):
            raise error
        return ask_for(town_id, **how)

    monkeypatch.setattr(module, "REQUESTS", {OperationKind.STOP: request})


def test_it_stops_at_the_first_failures_of_asking_too(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(9, canaries=0, at_once=50, failures_allowed=2)
    breaking(monkeypatch, ZeroDivisionError())
    for _ in range(4):
        advance(run.pk, NOW)
    assert counts(run) == {"failed": 2, "waiting": 7}
    assert run.state == "paused"


def test_a_town_that_the_database_refuses_holds_up_no_other(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(3, canaries=0)
    breaking(monkeypatch, IntegrityError("a rule"), only=run.items.all()[0].town_id)
    for _ in range(2):
        advance(run.pk, NOW)
    assert counts(run) == {"failed": 1, "asked": 2}
