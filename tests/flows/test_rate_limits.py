"""Being asked to slow down, by Fly, R2 or our own budget, is no failed attempt of any flow."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.world import World
from tests.world.asking import ask, ask_and_settle, newest, state
from tests.world.faults import Call, Moment
from tests.world.world import next_due
from towns.models import Operation, Town
from towns.services.errors import RateLimited, Unavailable
from towns.words import OperationState

pytestmark = pytest.mark.django_db
BEGINNINGS: dict[str, Callable[[World], Town]] = {
    "provision": lambda world: world.create_town(),
    "start": lambda world: world.stopped_town(),
    "stop": lambda world: world.running_town(),
    "restart": lambda world: world.running_town(),
    "backup": lambda world: world.running_town(),
    "destroy": lambda world: world.running_town(),
    "restore": lambda world: world.destroyed_town(),
    "recover": lambda world: lost_town(world),
}


def lost_town(world: World) -> Town:
    """Its machine and volume are gone."""
    town = world.stopped_town()
    world.lose_host(town)
    return town


def slow_down(world: World, *, every: int) -> list[str]:
    """Have calls of each name refused: all but each `every`th. Returns the names as they come."""
    seen: dict[str, int] = {}
    names: list[str] = []

    def refuse(call: Call, moment: Moment) -> None:
        if moment != Moment.BEFORE or not call.name.startswith(("fly.", "r2.")):
            return
        seen[call.name] = seen.get(call.name, 0) + 1
        if seen[call.name] % every:
            names.append(call.name)
            raise RateLimited(f"{call.name} was not sent.", retry_after=2.5)

    world.faults.hooks.append(refuse)
    return names


def watched_to_its_end(world: World, operation: Operation) -> set[int]:
    """Drive until nothing is open; returns which counts of failed attempts were seen."""
    attempts = {0}
    ends = world.now + timedelta(hours=1)
    while (due := next_due()) is not None and due < ends:
        world.clock.advance_to(due)
        world.drive()
        attempts.add(newest(operation.town).attempt)
    return attempts


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("kind", sorted(BEGINNINGS))
def test_no_flow_counts_a_failed_attempt(world: World, kind: str, every: int) -> None:
    town = BEGINNINGS[kind](world)
    names = slow_down(world, every=every)
    operation = newest(town) if kind == "provision" else ask(world, town, kind).operation
    assert watched_to_its_end(world, operation) == {0}
    operation.refresh_from_db()
    assert (operation.state, operation.kind) == (OperationState.SUCCEEDED, kind)
    assert names, "something was refused"
    world.check()


def test_it_is_due_again_when_it_may_be_asked_again(world: World) -> None:
    town = world.running_town()
    world.faults.fail("r2.read_pointer", RateLimited("R2 asks us to slow down.", retry_after=11))
    operation = ask(world, town, "stop").operation
    world.drive()
    operation.refresh_from_db()
    assert (operation.due_at - world.now).total_seconds() == 11
    assert (operation.attempt, operation.lease_until) == (0, None)
    assert "It may be asked again in 11.0 s." in operation.message


def test_a_backup_that_is_refused_for_too_long_has_failed(world: World) -> None:
    town = world.running_town()
    world.faults.fail("r2.*", RateLimited("R2 asks us to slow down.", retry_after=20), times=None)
    operation = ask_and_settle(world, town, "backup")
    assert operation.state == OperationState.FAILED
    assert "R2 asks us to slow down." in operation.message
    assert operation.finished_at is not None
    assert operation.finished_at - operation.created_at < timedelta(minutes=5)


def test_the_last_backup_of_a_stop_is_noted_although_r2_was_busy(world: World) -> None:
    town = world.running_town()
    world.work(town, "last words")
    ask(world, town, "stop")
    newest_one = newest(town)
    while newest_one.step != "note_last_backup":
        due = next_due()
        assert due is not None
        if newest_one.step == "await_stopped":
            world.faults.clear()
            world.faults.fail("r2.verify_latest", RateLimited("Busy.", retry_after=3), times=2)
        world.clock.advance_to(due)
        world.drive()
        newest_one.refresh_from_db()
    world.settle()
    assert state(town) == ("stopped", "stopped")
    assert town.last_snapshot == world.snapshots(town)[0].timestamp
    assert newest(town).log[-1]["note"] == town.last_snapshot


def at_its_deadline(world: World) -> tuple[Town, Operation]:
    """A start whose machine came up while Fly was not to be asked."""
    town = world.stopped_town()
    operation = ask(world, town, "start").operation
    world.drive()
    world.faults.fail("fly.*", Unavailable("HTTP 503"), times=None)
    world.settle(299)
    assert operation.deadline_at is not None
    world.clock.advance_to(operation.deadline_at)
    world.faults.clear()
    return town, operation


def test_the_last_look_at_the_deadline_waits_for_its_turn(world: World) -> None:
    town, operation = at_its_deadline(world)
    world.faults.fail("fly.get_machine", RateLimited("Too often.", retry_after=2), times=3)
    world.settle()
    operation.refresh_from_db()
    assert operation.state == OperationState.SUCCEEDED
    assert state(town) == ("running", "running")


def test_it_does_not_wait_for_ever(world: World) -> None:
    _, operation = at_its_deadline(world)
    world.faults.fail("fly.*", RateLimited("Too often.", retry_after=2), times=None)
    world.settle()
    operation.refresh_from_db()
    assert operation.state == OperationState.FAILED
    assert operation.finished_at is not None
    assert operation.deadline_at is not None
    assert operation.finished_at - operation.deadline_at <= timedelta(minutes=1, seconds=5)
