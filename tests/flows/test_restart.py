"""Restart (product.md 1.1)."""

import pytest

from tests.world import Killed, Moment, World
from tests.world.asking import RULE, ask, ask_and_settle, causes, event, newest, state
from towns.models import Town
from towns.services.errors import Unavailable

pytestmark = pytest.mark.django_db


def test_it_works(world: World) -> None:
    town = world.running_town()
    before = world.process(town)
    operation = ask_and_settle(world, town, "restart")
    assert state(town) == ("running", "running")
    assert operation.state == "succeeded"
    assert world.process(town) is not before
    assert world.record.count("started") == 2
    world.check()


def test_it_ends_the_episode_and_tells_the_downtime(world: World) -> None:
    town = world.running_town()
    began = world.now
    Town.objects.filter(pk=town.pk).update(
        consecutive_failures=3, episode_since=began, failure_kind="timeout"
    )
    world.advance(600)
    ask_and_settle(world, town, "restart", actor=RULE)
    data = event(town, "restart_done").data
    assert data["downtime_seconds"] == round((world.now - began).total_seconds())
    assert data["episode_cause"] == "timeout"
    assert (town.consecutive_failures, town.episode_since) == (0, None)


def test_the_downtime_is_true_across_restarts_that_did_not_help(world: World) -> None:
    town = world.running_town()
    began = world.now
    Town.objects.filter(pk=town.pk).update(
        consecutive_failures=3, episode_since=began, failure_kind="daemon_down"
    )
    world.fly.sick.add(str(town.pk))
    for _ in range(2):
        ask_and_settle(world, town, "restart", actor=RULE)
        assert (state(town)[0], town.episode_since) == ("error", began)
    world.fly.sick.clear()
    ask_and_settle(world, town, "restart")
    assert state(town)[0] == "running"
    total = round((world.now - began).total_seconds())
    assert event(town, "restart_done").data["downtime_seconds"] == total > 600
    assert town.episode_ended_at == world.now


def test_the_work_is_backed_up_on_the_way(world: World) -> None:
    town = world.running_town()
    world.work(town, "fresh")
    ask_and_settle(world, town, "restart")
    assert any("fresh" in one.data.marks for one in world.snapshots(town))


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize("error", [Killed(), Unavailable("lost")], ids=["killed", "lost"])
def test_it_restarts_once_whatever_happens(
    world: World, moment: Moment, error: BaseException
) -> None:
    town = world.running_town()
    world.faults.fail("fly.restart_machine", error, moment=moment)
    ask_and_settle(world, town, "restart")
    assert state(town) == ("running", "running")
    assert world.record.count("started") == 2


def test_a_machine_that_is_not_started_is_only_started(world: World) -> None:
    town = world.running_town()
    world.fly.crash(world.machine(town))
    ask_and_settle(world, town, "restart")
    assert state(town) == ("running", "running")
    assert world.faults.count("fly.restart_machine") == 0


def test_a_restart_that_does_not_heal_ends_in_error_and_is_told(world: World) -> None:
    town = world.running_town()
    world.fly.sick.add(str(town.pk))
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert causes(town) == {"restart_failed"}
    assert world.record.count("started") == 2


def test_kilo_4349_a_town_that_is_started_but_dead_inside_is_restarted(world: World) -> None:
    town = world.running_town()
    world.process(town).mute = True
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")


def test_a_lost_machine_is_recovered_with_the_same_actor(world: World) -> None:
    town = world.running_town()
    world.lose_machine(town)
    operation = ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    assert operation.state == "superseded"
    recovery = newest(town, "recover")
    assert (recovery.automatic, recovery.actor) == (True, RULE.name)
    assert operation.successor == recovery


def test_a_lost_volume_is_recovered_from_the_backup(world: World) -> None:
    town = world.running_town()
    old = world.lose_volume(town)
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town) == ("running", "running")
    assert town.volume_id != old
    assert world.marks(town) == ("first work",)
    world.check()


def test_while_fly_is_down_nothing_is_created(world: World) -> None:
    town = world.running_town()
    machine_id = town.machine_id
    world.faults.fly_down = True
    ask_and_settle(world, town, "restart", actor=RULE)
    assert state(town)[0] == "error"
    assert town.machine_id == machine_id
    assert world.faults.count("fly.create_machine") == 1


def test_destroy_supersedes_it_at_the_next_step(world: World) -> None:
    town = world.running_town()
    operation = ask(world, town, "restart").operation
    world.drive()
    ask(world, town, "destroy")
    world.settle()
    operation.refresh_from_db()
    assert operation.state == "superseded"
    assert state(town) == ("destroyed", "destroyed")
    world.check()
