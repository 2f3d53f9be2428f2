"""What is true in a simulated world, whatever our rows say: whose data lives, who is at work."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tests.world import World
from tests.world.things import Folder


@dataclass(slots=True)
class Moment:
    """When something began: the virtual time, and the number of the happening."""

    seq: int
    at: datetime


@dataclass(slots=True)
class Truth:
    """Marks that each town must still have, and its signs of use."""

    marks: dict[UUID, set[str]] = field(default_factory=dict)
    interactions: dict[UUID, Moment] = field(default_factory=dict)
    work: dict[UUID, Moment] = field(default_factory=dict)
    probes: dict[UUID, int] = field(default_factory=dict)
    """The happening in which a town was last asked, successfully."""

    def wrote(self, town_id: UUID, mark: str) -> None:
        """A town has this on its volume."""
        self.marks.setdefault(town_id, set()).add(mark)

    def interacted(self, town_id: UUID, seq: int, now: datetime) -> None:
        """Its owner gave a sign."""
        self.interactions[town_id] = Moment(seq, now)

    def worked(self, town_id: UUID, seq: int, now: datetime) -> None:
        """Its polecats began to work."""
        self.work[town_id] = Moment(seq, now)

    def rested(self, town_id: UUID) -> None:
        """Its polecats stopped working."""
        self.work.pop(town_id, None)

    def forgive(self, town_id: UUID) -> None:
        """Somebody gave its data up."""
        self.marks[town_id] = set()

    def volume_lost(self, world: World, town_id: UUID) -> None:
        """From now on only what a sound backup holds must live."""
        self.marks[town_id] = restorable(world.r2.live(town_id)) & self.marks.get(town_id, set())

    def volume_confirmed(self, world: World, volume_id: str) -> None:
        """Staff let a volume go that is no town's any more: what only it has may be lost."""
        volume = world.fly.volumes.get(volume_id)
        if volume is None or volume.data is None:
            return
        for mark in volume.data.marks:
            if not any(mark in marks for marks in self.marks.values()):
                world.r2.forgiven.add(mark)

    def volume_destroyed(self, world: World, town_id: UUID) -> None:
        """Destroyed on request: the retained backup must live."""
        self.marks[town_id] = restorable(world.r2.retained(town_id)) & self.marks.get(
            town_id, set()
        )


def restorable(folder: Folder) -> set[str]:
    """The marks that a restore from these snapshots brings back (sandbox.md, "Start-up")."""
    latest = folder.latest.timestamp if folder.latest else max(folder.snapshots, default="")
    for timestamp in sorted(folder.snapshots, reverse=True):
        snapshot = folder.snapshots[timestamp]
        if timestamp <= latest and snapshot.is_whole and not snapshot.held:
            return set(snapshot.data.marks)
    return set()
