"""A town that heals for a moment after each restart, and fails again."""

import pytest

from tests.world import World
from tests.world.asking import causes, state
from towns.models import Town
from towns.sweeps.health import sweep_fleet

pytestmark = pytest.mark.django_db


def watch(world: World, town: Town, sweeps: int) -> None:
    """Health sweeps, three minutes apart; whenever the town runs it goes mute again."""
    for _ in range(sweeps):
        if state(town)[0] == "running":
            world.process(town).mute = True
        ends = world.now.timestamp() + 180
        sweep_fleet(world.now, world.services)
        world.settle(170)
        world.advance(ends - world.now.timestamp())


def test_kilo_1653_a_loop_of_restarts_ends_and_fly_is_called_no_more() -> None:
    world = World()
    town = world.running_town()
    watch(world, town, 12)
    assert world.faults.count("fly.restart_machine") == 3
    assert state(town)[0] == "error"
    assert causes(town) == {"flapping", "restart_limit"}, "it flapped before it was given up"
    calls = len(world.faults.calls)
    watch(world, town, 20)
    assert len(world.faults.calls) == calls, "neither Fly nor the sandbox hears of us"
    assert state(town)[0] == "error"
    assert town.alerts.filter(cause="restart_limit").count() == 1, "one notification"
