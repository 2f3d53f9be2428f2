"""What the tests of restore drills share."""

from tests.world import World
from tests.world.asking import ask, ask_and_settle
from towns import addresses
from towns.flows import left_over
from towns.models import Drill, Town


def backed_up(world: World, name: str = "alpha") -> Town:
    """A town that runs, of whose backup we know."""
    town = world.running_town(name)
    ask_and_settle(world, town, "backup")
    return town


def drilled(world: World, town: Town) -> Drill:
    """Have a drill made of it, to its end."""
    operation = ask_and_settle(world, town, "drill")
    return Drill.objects.get(operation=operation)


def under_way(world: World, town: Town) -> Drill:
    """A drill whose machine is there."""
    ask(world, town, "drill")
    world.drive()
    drill = Drill.objects.get()
    assert drill.machine_id
    assert drill.volume_id
    return drill


def assert_nothing_left(world: World, drill: Drill) -> None:
    assert world.fly.drills() == []
    names = {volume.name for volume in world.fly.volumes.values() if volume.state == "created"}
    assert addresses.drill_volume_name(drill.pk) not in names


def clean_up(world: World) -> None:
    """The sweep's passes, until all is seen gone."""
    for _ in range(5):
        left_over.clean_up(world.services)
        world.advance(world.pace.destroy + 1)
