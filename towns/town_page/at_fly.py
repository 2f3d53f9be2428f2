"""A town's machine and volume as Fly describes them, asked for when somebody wants to know."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from towns.fly_apps import app_of
from towns.models import Town
from towns.readable import size, utc
from towns.services.errors import NotFound, ServiceError
from towns.services.fly_types import Machine, Volume
from towns.services.protocols import FlyApps

_GB = 10**9


@dataclass(frozen=True, slots=True)
class Described:
    """What Fly says of one thing, as names and values; `told` is what there is to say instead."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    told: str = ""


def ask_fly(town: Town, apps: FlyApps) -> list[Described]:
    """The machine and the volume, with at most one call each. Never raises for what Fly does."""

    def machine() -> Iterable[tuple[str, str]]:
        return _of_machine(apps.of(app_of(town)).get_machine(town.machine_id))

    def volume() -> Iterable[tuple[str, str]]:
        return _of_volume(apps.of(app_of(town)).get_volume(town.volume_id))

    return [
        _described("Machine", town.machine_id, machine),
        _described("Volume", town.volume_id, volume),
    ]


def _described(title: str, known: str, ask: Callable[[], Iterable[tuple[str, str]]]) -> Described:
    if not known:
        return Described(title, told="The town has none.")
    try:
        return Described(title, tuple((name, value) for name, value in ask() if value))
    except NotFound:
        return Described(title, told=f"Fly knows none with the id {known}.")
    except ServiceError as error:
        return Described(title, told=str(error))


def _of_machine(machine: Machine) -> Iterable[tuple[str, str]]:
    yield "State", machine.state
    yield "Host", machine.host_status
    yield "Size", _guest(machine)
    yield "Region", machine.region
    yield "Image", machine.image
    yield "Volumes", ", ".join(machine.volume_ids)
    yield "Name", machine.name
    yield "Made", _moment(machine.created_at)
    yield "Changed", _moment(machine.updated_at)
    yield "Last start", _moment(machine.last_start_at)
    if ended := machine.last_exit:
        why = "out of memory" if ended.oom_killed else f"exit code {ended.exit_code}"
        asked = ", as asked" if ended.requested_stop else ""
        yield "Last exit", f"{why}{asked} {_moment(ended.at)}".strip()
    yield "Error", machine.event_error or ""


def _guest(machine: Machine) -> str:
    if machine.cpus is None or machine.memory_mb is None:
        return ""
    return f"{machine.cpus} {machine.cpu_kind} CPUs, {machine.memory_mb} MB of memory"


def _of_volume(volume: Volume) -> Iterable[tuple[str, str]]:
    yield "State", volume.state
    yield "Host", volume.host_status
    yield "Size", size(volume.size_gb * _GB)
    yield "Attached to", volume.attached_machine_id or "no machine"
    yield "Region", volume.region
    yield "Name", volume.name
    yield "Made", _moment(volume.created_at)


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else utc(moment)
