"""What is an orphan, and when one may be destroyed. Pure: no I/O, no clock, no Django."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from towns.drift import RESTING, Thing, ThingKind, TownRow


class Cause(StrEnum):
    """Why something is an orphan."""

    NO_TOWN = "no_town"
    DESTROYED_TOWN = "destroyed_town"
    OLD_VOLUME = "old_volume"
    OLD_MACHINE = "old_machine"
    DRILL = "drill"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An orphan with its `cause`, or with None why it is none, or none yet."""

    cause: Cause | None
    reason: str


def judge_orphan(
    thing: Thing, town: TownRow | None, *, listed_at: datetime, grace: timedelta
) -> Verdict:
    """Judge something that no row names. `town` is the row of the town that it says it is of."""
    if thing.town is None:
        return Verdict(Cause.FOREIGN, "It carries no mark of ours: it is never touched.")
    if town is not None and town.busy:
        return Verdict(None, f"the {town.busy} of {town.label} may be using it")
    if is_young(thing, listed_at, grace):
        return Verdict(None, _young(grace))
    if town is None:
        return Verdict(Cause.NO_TOWN, f"It says that it is of town {thing.town}, which is unknown.")
    if not town.lives:
        if town.since + grace > listed_at:
            return Verdict(None, f"{town.label} was destroyed only just now")
        return Verdict(Cause.DESTROYED_TOWN, f"{town.label} is destroyed.")
    if not town.rests(listed_at):
        return Verdict(None, f"{town.label} is {town.status} only since just now")
    if thing.kind == ThingKind.MACHINE:
        return _machine_of(town, thing)
    return _volume_of(town, thing)


def _machine_of(town: TownRow, thing: Thing) -> Verdict:
    if not town.machine_id:
        return Verdict(None, f"the next start or recovery of {town.label} adopts it")
    generation = "unknown" if thing.generation is None else thing.generation
    return Verdict(
        Cause.OLD_MACHINE,
        f"A machine of generation {generation}; {town.label} is at {town.generation} and has "
        f"machine {town.machine_id}.",
    )


def _volume_of(town: TownRow, thing: Thing) -> Verdict:
    if not town.volume_id:
        return Verdict(None, f"{town.label} has no volume: its next operation may adopt it")
    if thing.generation is not None and thing.generation < town.generation:
        return Verdict(
            Cause.OLD_VOLUME,
            f"Old volume of generation {thing.generation}; {town.label} is at generation "
            f"{town.generation} and has volume {town.volume_id}.",
        )
    return Verdict(
        Cause.OLD_VOLUME,
        f"A second volume of generation {thing.generation}; {town.label} has volume "
        f"{town.volume_id}.",
    )


def judge_drill(
    thing: Thing, under_way: Container[UUID], *, listed_at: datetime, grace: timedelta
) -> Verdict:
    """Judge what a restore drill made: left over once its operation isn't open any more.

    It never holds the only copy of anything, so that it is destroyed without being confirmed.
    """
    if thing.drill in under_way:
        return Verdict(None, f"the drill {thing.drill} is under way")
    if thing.made_at is None or is_young(thing, listed_at, grace):
        return Verdict(None, _young(grace))
    return Verdict(Cause.DRILL, f"Left over from drill {thing.drill}, which has ended.")


def is_young(thing: Thing, listed_at: datetime, grace: timedelta) -> bool:
    """Whether whoever made it may still be about to record it. Of unknown age: no."""
    return thing.made_at is not None and thing.made_at + grace > listed_at


def _young(grace: timedelta) -> str:
    return f"it is younger than {grace.total_seconds() / 60:.0f} min"


@dataclass(frozen=True, slots=True)
class Backing:
    """What is known of the backup of the town whose volume is to go."""

    needed_since: datetime | None
    """A verified snapshot has to be newer; None: none is needed."""
    newest: datetime | None = None
    """When the newest verified snapshot was made; None: there is none."""


def why_kept(was: Thing, now: Thing, backing: Backing) -> str:
    """Why an orphan is not destroyed, by a second look; nothing when it may go.

    `was` is what the lists showed, `now` what Fly says of it alone.
    """
    if _identity(now) != _identity(was):
        return "Fly describes it differently now: have another look at it."
    if now.kind == ThingKind.MACHINE and now.state not in RESTING and now.drill is None:
        return f"The machine is {now.state}: stop it first."
    if now.attached_to:
        return f"It is attached to machine {now.attached_to}, which has to go first."
    if backing.needed_since is None:
        return ""
    if backing.newest is None:
        return "There is no verified backup of its town, which may need what is on it."
    if backing.newest <= backing.needed_since:
        return (
            f"The town's newest verified backup ({backing.newest:%Y-%m-%d %H:%M:%S} UTC) is older "
            f"than {backing.needed_since:%Y-%m-%d %H:%M:%S} UTC. Once a newer one is there it goes."
        )
    return ""


def _identity(thing: Thing) -> tuple[object, ...]:
    return thing.id, thing.name, thing.town, thing.generation, thing.drill
