"""The throw-away machines and volumes of drills: how they are removed, whatever happened.

A drill's flow removes its own when it ends. One that was called off, or whose worker died while
Fly was slow, leaves some over: they are found at Fly by what they are called, and removed too.
Only what carries the mark of a drill of ours that is over is ever touched.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from towns import addresses
from towns.apps_in_use import apps_in_use, ask_apps
from towns.models import Drill, Town
from towns.services import Fly, Services
from towns.services.errors import NotFound, ServiceError
from towns.services.fly_types import Machine
from towns.words import OperationState

AT_ONCE = 100
"""Drills that one pass looks after."""


@dataclass(slots=True)
class Cleaned:
    """What a pass did."""

    machines: int = 0
    volumes: int = 0
    cleaned: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)


def remove_machine(drill: Drill, fly: Fly) -> bool:
    """Destroy the drill's machine, saved or not; returns whether it is seen gone."""
    found = fly.list_machines(metadata={addresses.DRILL_METADATA: str(drill.pk)})
    ids = {machine.id for machine in found} | {drill.machine_id} - {""}
    return all(_destroy_machine(one, fly) for one in sorted(ids))


def remove_volume(drill: Drill, fly: Fly) -> bool:
    """Destroy the drill's volume, saved or not; returns whether it is seen gone.

    The name says for certain that it is a drill's: no volume of a town is called so.
    """
    name = addresses.drill_volume_name(drill.pk)
    ids = {one.id for one in fly.list_volumes() if one.name == name}
    if drill.volume_id and not Town.objects.filter(volume_id=drill.volume_id).exists():
        ids.add(drill.volume_id)
    return all(_destroy_volume(one, name, fly) for one in sorted(ids))


def clean_up(services: Services) -> Cleaned:
    """Remove what drills that are over have left at Fly: two list calls an app, and what they show.

    A machine that appears late, from a worker that hung while it was made, is found by its mark
    although its drill counts as clean.
    """
    report = Cleaned()
    if not Drill.objects.exists():
        return report
    answers = ask_apps(services, apps_in_use().apps, _marked)
    machines, volumes = dict[str, UUID](), dict[str, UUID]()
    for app, found in answers.items():
        if not isinstance(found, ServiceError):
            machines |= found[0]
            volumes |= found[1]
        elif len(answers) == 1:
            raise found
        else:
            report.problems.append(f"app {app}: {found}")
    known = Drill.objects.exclude(operation__state=OperationState.OPEN)
    over = known.in_bulk({*machines.values(), *volumes.values()})
    for drill in known.filter(cleaned_at=None).order_by("began_at")[:AT_ONCE]:
        over.setdefault(drill.pk, drill)
    report.machines = sum(found in over for found in machines.values())
    report.volumes = sum(found in over for found in volumes.values())
    for drill in over.values():
        _clean(drill, services, report)
    return report


def _marked(fly: Fly, _app: str) -> tuple[dict[str, UUID], dict[str, UUID]]:
    """The machines and the volumes of an app that carry the mark of a drill, and of which."""
    machines = {
        machine.id: found
        for machine in fly.list_machines()
        if (found := _drill_of(machine)) and machine.state != "destroyed"
    }
    volumes = {
        volume.id: found
        for volume in fly.list_volumes()
        if (found := addresses.drill_of_volume(volume.name)) and volume.state != "destroyed"
    }
    return machines, volumes


def _clean(drill: Drill, services: Services, report: Cleaned) -> None:
    try:
        fly = services.fly.of(drill.fly_app)
        gone = remove_machine(drill, fly) and remove_volume(drill, fly)
    except ServiceError as error:
        report.problems.append(f"drill {drill.pk}: {error}")
        gone = False
    report.cleaned += gone
    report.left += not gone
    if gone:
        mark_clean(drill.pk, services.clock.now())


def mark_clean(drill_id: UUID, now: datetime) -> None:
    """Machine and volume were seen gone."""
    Drill.objects.filter(pk=drill_id, cleaned_at=None).update(cleaned_at=now)


def _destroy_machine(machine_id: str, fly: Fly) -> bool:
    def destroy() -> bool:
        machine = fly.get_machine(machine_id)
        if machine.state == "destroyed":
            return True
        if _drill_of(machine) is None:
            raise ServiceError(f"Machine {machine_id} carries no mark of a drill; it is left.")
        if machine.state != "destroying":
            fly.destroy_machine(machine_id, force=True)
        return False

    return _gone(destroy)


def _drill_of(machine: Machine) -> UUID | None:
    return addresses.drill_of_machine(machine.name, machine.metadata)


def _destroy_volume(volume_id: str, name: str, fly: Fly) -> bool:
    def destroy() -> bool:
        volume = fly.get_volume(volume_id)
        if volume.state == "destroyed":
            return True
        if volume.name != name:
            raise ServiceError(f"Volume {volume_id} is called {volume.name}; it is left.")
        if not volume.going_away:
            fly.destroy_volume(volume_id)
        return False

    return _gone(destroy)


def _gone(destroy: Callable[[], bool]) -> bool:
    """Only Fly's 404, or its word, proves that something is gone."""
    try:
        return destroy()
    except NotFound:
        return True
