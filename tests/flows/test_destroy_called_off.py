"""Until the soft-delete a destroy can be called off (product.md 1.5 and 3); then it is restored."""

import pytest

from tests.world import World
from tests.world.asking import ask, causes, event, newest, state
from towns import actions, history
from towns.models import Town
from towns.why import why

pytestmark = pytest.mark.django_db


def test_it_can_be_called_off_before_the_soft_delete(world: World) -> None:
    town = world.running_town()
    ask(world, town, "destroy")
    world.drive()
    requested = ask(world, town, "start")
    assert requested.note == "Its destroy is called off."
    town.refresh_from_db()
    assert why(town, world.now).expected("call_off") is not None
    world.settle()
    assert state(town) == ("running", "running")
    assert "called off" in event(town, "destroy_called_off").reason
    assert causes(town) == set()
    assert town.destroyed_at is None


def test_calling_it_off_does_not_wait_for_the_next_try(world: World) -> None:
    town = world.running_town()
    world.faults.r2_down = True
    ask(world, town, "destroy")
    world.settle(10)
    assert (newest(town).due_at - world.now).total_seconds() > 30
    ask(world, town, "restore")
    world.settle(10)
    assert state(town) == ("running", "running")


def test_asked_for_again_after_it_was_called_off_it_is_destroyed(world: World) -> None:
    town = world.running_town()
    ask(world, town, "destroy")
    world.drive()
    ask(world, town, "start")
    ask(world, town, "destroy")
    world.settle()
    assert state(town) == ("destroyed", "destroyed")


def test_asked_for_again_at_the_moment_it_is_called_off_it_is_destroyed(world: World) -> None:
    town = world.stopped_town()
    for snapshot in world.snapshots(town):
        snapshot.missing_file = True
    ask(world, town, "destroy")
    world.drive()
    ask(world, town, "start")
    while newest(town).undoing == "":
        world.settle(1)
    ask(world, town, "destroy")
    world.settle()
    assert state(town) == ("destroyed", "destroyed")


def test_kilo_1183_called_off_at_the_moment_of_the_soft_delete_it_is_called_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = world.running_town()
    ask(world, town, "destroy")
    real = history.lock_town
    asked: list[object] = []

    def lock_late(town_id: object) -> Town:
        if not asked and newest(town).step == "soft_delete":
            asked.append(town_id)  # somebody is faster than the step
            ask(world, town, "start")
        return real(town.pk)

    monkeypatch.setattr(history, "lock_town", lock_late)
    world.settle()
    assert asked
    assert state(town) == ("running", "running")
    assert town.destroyed_at is None


def test_after_the_soft_delete_only_a_restore_helps(world: World) -> None:
    town = world.running_town()
    ask(world, town, "destroy")
    while world.faults.count("fly.stop_machine") == 0:
        world.settle(1)
    with pytest.raises(actions.NotAllowed, match="Ask for its restore"):
        ask(world, town, "start")
    assert "restored once its destroy has ended" in ask(world, town, "restore").note
    world.settle()
    assert state(town) == ("running", "running")
    assert "first work" in world.marks(town)
    world.check()


def test_a_restore_after_the_destroy_is_refused_when_its_name_was_taken_meanwhile(
    world: World,
) -> None:
    town = world.running_town("alpha")
    ask(world, town, "destroy")
    while world.faults.count("fly.stop_machine") == 0:
        world.settle(1)
    ask(world, town, "restore")
    other = world.create_town("alpha")
    world.settle()
    assert state(other)[0] == "running"
    assert state(town) == ("destroyed", "destroyed")
    assert "has that name" in event(town, "restore_refused").reason


@pytest.mark.parametrize("on_its_way", ["provision", "start", "restart"])
def test_called_off_after_it_superseded_something_the_town_is_started(
    on_its_way: str, world: World
) -> None:
    """The status before was a passing one: there is nothing to go back to."""
    if on_its_way == "provision":
        town = world.create_town()
    else:
        town = world.stopped_town() if on_its_way == "start" else world.running_town()
        ask(world, town, on_its_way)
    ask(world, town, "destroy")
    world.faults.r2_down = True
    world.drive()
    assert state(town) == ("destroying", "destroyed")
    ask(world, town, "start")
    world.faults.r2_down = False
    world.settle()
    assert state(town) == ("running", "running")
    assert causes(town) == set()


def test_called_off_at_the_moment_it_supersedes_the_operation_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = world.running_town()
    operation = ask(world, town, "restart").operation
    ask(world, town, "destroy")
    real = history.lock_town
    asked: list[object] = []

    def lock_late(town_id: object) -> Town:
        if not asked:
            asked.append(town_id)  # somebody is faster than the step boundary
            ask(world, town, "start")
        return real(town.pk)

    monkeypatch.setattr(history, "lock_town", lock_late)
    world.settle()
    assert asked
    operation.refresh_from_db()
    assert operation.state == "succeeded"
    assert state(town) == ("running", "running")
    assert not town.operations.filter(kind="destroy").exists()
