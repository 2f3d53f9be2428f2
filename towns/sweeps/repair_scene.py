"""What all repairs of a drift share: what they are given, what they say, and the last check."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from towns import automation, history
from towns.drift import Drift, DriftKind, TownRow
from towns.history import Actor
from towns.models import Operation, Town
from towns.services import Services
from towns.standing import Cause, read_standing
from towns.sweeps.second_look import SecondLook
from towns.words import ACTIVE

ACTOR = Actor.automation("sweep:reconcile")
MEANWHILE = "something else began meanwhile"


@dataclass(frozen=True, slots=True)
class Handled:
    """What was done about a drift: restart, error, stop, adopt, report, none, or unsure when
    nothing certain could be learned. `why` says by what, or why not."""

    drift: Drift
    action: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """For the command."""
        return {
            "town": self.drift.town.label,
            "id": str(self.drift.town.id),
            "drift": self.drift.kind.value,
            "seen": self.drift.text,
            "action": self.action,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Scene:
    """What all repairs of one sweep share."""

    services: Services
    look: SecondLook
    frozen: str | None
    dry_run: bool = False

    @property
    def now(self) -> datetime:
        """The present time."""
        return self.services.clock.now()


def why_not(town: TownRow, scene: Scene, *, breakers: bool = False) -> str | None:
    """Why no repair may stop a machine of this town now: a freeze, a hold or maintenance, and with
    `breakers` an open breaker as well."""
    if scene.frozen is not None:
        return scene.frozen
    held = read_standing(scene.now).held_back(Town.objects.get(pk=town.id), scene.now)
    return next((one.why for one in held if breakers or one.cause != Cause.BREAKER), None)


def lock_unchanged(row: TownRow) -> Town | None:
    """The town under its lock, if it still is what was compared and no operation owns it.

    The caller is in a transaction.
    """
    town = history.lock_town(row.id)
    same = (town.status, town.desired_state, town.status_since, town.machine_id) == (
        row.status,
        row.desired,
        row.since,
        row.machine_id,
    )
    busy = Operation.owning().filter(town=town).exists()
    return town if same and not busy else None


def scopes_awake(row: TownRow) -> list[str]:
    """The breakers that a town which should run is counted under; none for one that sleeps."""
    if row.status not in ACTIVE or not row.machine_id:
        return []
    return automation.scopes_of(row.region, row.image, row.app)


def by_kind(drifts: Iterable[Drift]) -> defaultdict[str, list[Drift]]:
    """Drifts by what is to be done about them."""
    found: defaultdict[str, list[Drift]] = defaultdict(list)
    for drift in drifts:
        active = drift.town.status in ACTIVE
        if drift.kind == DriftKind.STOPPED or (drift.kind == DriftKind.GONE and active):
            found["should_run"].append(drift)
        elif drift.kind == DriftKind.STARTED:
            found["should_sleep"].append(drift)
        elif drift.kind == DriftKind.TWIN:
            found["twins"].append(drift)
        else:
            found["report"].append(drift)
    return found
