"""Short words for the tests of reconciliation."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.world import World
from tests.world.faults import Call, Moment
from tests.world.things import FlyMachine, FlyVolume
from towns import addresses
from towns.models import Orphan, Town
from towns.services.fly_types import Machine
from towns.sweeps.reconcile import ReconcileReport, sweep_reconcile

LATER = 20 * 60
"""Longer than the grace time of orphans."""


def sweep(world: World, **more: Any) -> ReconcileReport:
    """A sweep of the whole fleet, a minute after whatever was before."""
    world.advance(60)
    return sweep_reconcile(world.services, slot=world.now, **more)


def actions(report: ReconcileReport) -> list[tuple[str, str]]:
    """What was found and done, in short."""
    return [(one.drift.kind.value, one.action) for one in report.handled]


def neighbours(world: World, count: int = 6) -> list[Town]:
    """Towns that are well, so that one that isn't is no mass."""
    return [world.running_town(f"well-{number}") for number in range(count)]


def remember_list(world: World) -> Callable[[], None]:
    """Have Fly's list of machines answer from now on what it would answer at this moment.

    Returns what ends it.
    """
    stale = [replace(one) for one in world.fly.list_machines()]
    real = world.fly.list_machines

    def listed(**_: Any) -> list[Machine]:
        real()
        return stale

    world.fly.list_machines = listed  # type: ignore[method-assign]  # a stale list
    return lambda: setattr(world.fly, "list_machines", real)


def after(world: World, name: str, what: Callable[[], object]) -> None:
    """Have something happen once, right after the next call of that name has had its effect."""
    done: list[bool] = []

    def hook(call: Call, moment: Moment) -> None:
        if call.name == name and moment == Moment.AFTER and not done:
            done.append(True)
            what()

    world.faults.hooks.append(hook)


def twin_of(world: World, town: Town, *, generation: int, state: str = "started") -> FlyMachine:
    """A second machine of a town, on a volume of its own."""
    volume = add_volume(world, old_volume_name(town, generation), age=3600)
    twin = replace(
        world.machine(town),
        id=f"{len(world.fly.machines) + 0xF00:014x}",
        name="another",
        metadata={
            **addresses.machine_metadata(town),
            addresses.GENERATION_METADATA: str(generation),
        },
        volume_id=volume.id,
        state=state,
        created_at=world.now - timedelta(hours=1),
        process=None,
    )
    world.fly.machines[twin.id] = twin
    return twin


def old_volume_name(town: Town, generation: int) -> str:
    """The name that a generation of a town gives its volume."""
    return addresses.volume_name(Town(pk=town.pk, generation=generation))


def add_volume(world: World, name: str, *, age: float = 3600, **fields: Any) -> FlyVolume:
    """A volume that Fly has, made so many seconds ago."""
    volume = FlyVolume(
        id=f"vol_{len(world.fly.volumes) + 0xABC:08x}",
        name=name,
        region="ams",
        size_gb=50,
        created_at=world.now - timedelta(seconds=age),
        **fields,
    )
    world.fly.volumes[volume.id] = volume
    return volume


def orphan(fly_id: str) -> Orphan:
    """The row of an orphan."""
    return Orphan.objects.get(fly_id=fly_id)
