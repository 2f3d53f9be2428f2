"""How Fly and our rows differ (product.md 1.7). Pure: no I/O, no clock, no Django.

Whoever acts on a difference looks a second time first: a list may be stale.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from towns.words import ACTIVE, DesiredState, Status

RESTING = frozenset({"created", "stopped", "suspended", "failed"})
"""Machine states that end by a start alone."""
GOING = frozenset({"destroying", "destroyed", "replaced", "migrated"})
"""Machine states of what is gone or about to be."""
_LASTING = frozenset({*ACTIVE, Status.STOPPED, Status.ERROR, Status.DESTROYED})
SETTLING = timedelta(seconds=30)
"""So long a town rests before it is compared: lists lag behind, and clocks of hosts differ."""


class ThingKind(StrEnum):
    """What Fly lists."""

    MACHINE = "machine"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class Thing:
    """A machine or a volume in one of Fly's lists, and whose it says that it is."""

    kind: ThingKind
    id: str
    name: str
    state: str
    region: str
    made_at: datetime | None = None
    size_gb: int | None = None
    town: UUID | None = None
    generation: int | None = None
    drill: UUID | None = None
    """The drill that made it, as far as it says."""
    image: str = ""
    mounts: tuple[str, ...] = ()
    attached_to: str | None = None
    app: str = ""
    """The Fly app in whose list it is."""
    going: bool = False
    """Gone, or about to be: neither a town's nor an orphan any more."""


@dataclass(frozen=True, slots=True)
class TownRow:
    """What our row says of a town, and which operation is under way for it."""

    id: UUID
    label: str
    status: Status
    desired: DesiredState
    since: datetime
    """When the status last changed."""
    region: str
    image: str
    machine_id: str
    volume_id: str
    generation: int
    app: str = ""
    """The Fly app that its machine and volume are in; empty when that isn't known."""
    idle_stopped: bool = False
    counted_out: bool = False
    """Whether it fails for so long already that the restart rule has it."""
    busy: str = ""

    @property
    def lives(self) -> bool:
        """Whether it isn't destroyed."""
        return self.status != Status.DESTROYED

    def rests(self, listed_at: datetime) -> bool:
        """Whether nothing was under way when the lists were made, nor is now."""
        lasting = self.status in _LASTING and not self.busy
        return lasting and self.since + SETTLING <= listed_at


class DriftKind(StrEnum):
    """In which way Fly and a row differ. Also the cause of the alert, where there is one."""

    STOPPED = "machine_stopped"
    STARTED = "machine_started"
    GONE = "machine_gone"
    VOLUME_GONE = "volume_gone"
    TWIN = "twin"
    UNRECORDED = "unrecorded_machine"
    WRONG_REGION = "wrong_region"
    WRONG_VOLUME = "wrong_volume"
    WRONG_IMAGE = "wrong_image"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference, as the lists show it; `thing` is None where nothing is listed."""

    kind: DriftKind
    town: TownRow
    text: str
    thing: Thing | None = None

    @property
    def missing(self) -> bool:
        """Whether it is about something that should be listed and isn't."""
        return self.kind in (DriftKind.GONE, DriftKind.VOLUME_GONE)


@dataclass(frozen=True, slots=True)
class Lists:
    """What Fly listed: by id, and the machines by the town they say they are of.

    `apps` are those whose lists these are. What is in another one is unknown, and not absent.
    """

    machines: Mapping[str, Thing]
    volumes: Mapping[str, Thing]
    machines_of: Mapping[UUID, Sequence[Thing]]
    at: datetime
    apps: frozenset[str]

    def without(self, apps: Collection[str]) -> "Lists":
        """The lists of the other apps."""
        if not apps:
            return self
        return Lists(
            machines={key: one for key, one in self.machines.items() if one.app not in apps},
            volumes={key: one for key, one in self.volumes.items() if one.app not in apps},
            machines_of={
                town: [one for one in machines if one.app not in apps]
                for town, machines in self.machines_of.items()
            },
            at=self.at,
            apps=self.apps - set(apps),
        )


def compare(town: TownRow, lists: Lists) -> list[Drift]:
    """How a living town differs from the lists. One with an operation under way is left alone, and
    so is one whose app isn't among the lists."""
    if not town.lives or not town.rests(lists.at) or town.app not in lists.apps:
        return []
    machine, volume = lists.machines.get(town.machine_id), lists.volumes.get(town.volume_id)
    found = [*_state(town, machine), *_twins(town, machine, lists), *_volume(town, volume)]
    if machine is not None:
        found += _attributes(town, machine)
    if volume is not None and volume.region != town.region:
        text = f"Volume {volume.id} is in {volume.region}, the town in {town.region}."
        found.append(Drift(DriftKind.WRONG_REGION, town, text, volume))
    return found


def _state(town: TownRow, machine: Thing | None) -> list[Drift]:
    wanted = town.status in ACTIVE and town.desired == DesiredState.RUNNING
    asleep = town.status == Status.STOPPED and town.desired == DesiredState.STOPPED
    if not town.machine_id or not (wanted or asleep):
        return []
    if machine is None:
        text = f"Fly does not list machine {town.machine_id}."
        return [Drift(DriftKind.GONE, town, text)]
    if wanted and machine.state in RESTING:
        text = f"Fly says that machine {machine.id} is {machine.state}, but the town should run."
        return [Drift(DriftKind.STOPPED, town, text, machine)]
    if asleep and machine.state == "started":
        text = f"Fly says that machine {machine.id} is started, but the town should be stopped."
        return [Drift(DriftKind.STARTED, town, text, machine)]
    return []


def _twins(town: TownRow, machine: Thing | None, lists: Lists) -> list[Drift]:
    others = [
        one
        for one in lists.machines_of.get(town.id, ())
        if one.id != town.machine_id and not one.going
    ]
    if not town.machine_id:
        return [
            Drift(
                DriftKind.UNRECORDED,
                town,
                f"Machine {one.id} ({one.state}) says that it is of this town, whose row has none. "
                "The next start or recovery adopts it.",
                one,
            )
            for one in others
        ]
    recorded = f"{town.machine_id} ({machine.state if machine else 'not listed'})"
    return [
        Drift(
            DriftKind.TWIN,
            town,
            f"Machine {one.id} ({_generation(one)}, {one.state}) says that it is of this town "
            f"too; ours is {recorded}.",
            one,
        )
        for one in others
    ]


def _generation(thing: Thing) -> str:
    return "no generation" if thing.generation is None else f"generation {thing.generation}"


def _volume(town: TownRow, volume: Thing | None) -> list[Drift]:
    expected = town.status in (*ACTIVE, Status.STOPPED)
    if not town.volume_id or volume is not None or not expected:
        return []
    return [Drift(DriftKind.VOLUME_GONE, town, f"Fly does not list volume {town.volume_id}.")]


def _attributes(town: TownRow, machine: Thing) -> list[Drift]:
    found = []
    if machine.region != town.region:
        text = f"Machine {machine.id} is in {machine.region}, the town in {town.region}."
        found.append(Drift(DriftKind.WRONG_REGION, town, text, machine))
    if machine.mounts and town.volume_id and town.volume_id not in machine.mounts:
        text = f"Machine {machine.id} has volume {', '.join(machine.mounts)}, not {town.volume_id}."
        found.append(Drift(DriftKind.WRONG_VOLUME, town, text, machine))
    if machine.image and town.image and machine.image != town.image:
        text = f"Machine {machine.id} has image {machine.image}, not {town.image}."
        found.append(Drift(DriftKind.WRONG_IMAGE, town, text, machine))
    return found


def doubt(
    noun: str, *, expected: int, missing: int, listed: int, limit: float, share: float
) -> str:
    """Why a list is not to be believed at all; nothing when it is.

    Of `expected` machines or volumes that rows name, `missing` aren't among the `listed` ones. Many
    gone at once are a deleted app, a bad token or a fault of Fly's until somebody has looked.
    """
    if expected and not listed:
        return f"Fly lists no {noun} at all, but {expected} of ours should be there."
    if missing > limit or (missing > 1 and missing >= share * expected):
        percent = 100 * missing / expected
        return f"{missing} of our {expected} {noun}s ({percent:.0f} %) are not in Fly's list."
    return ""


def may_stop_twin(town: TownRow, twin: Thing, recorded: Thing) -> str:
    """Why a second machine of a town is not stopped; nothing when it may be: it is of an older
    generation, which may not write backups any more, and both are started."""
    if twin.generation is None or twin.generation >= town.generation:
        return "it is not of an older generation: look which of the two has the town's data"
    if twin.state != "started":
        return f"it is {twin.state}"
    if recorded.state != "started":
        return f"the town's own machine is {recorded.state}"
    return ""
