"""What came of comparing all rows with Fly's lists, by app, and what of it is not believed."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

from django.conf import settings

from towns.drift import Drift, DriftKind, Lists, TownRow, compare, doubt
from towns.rules import health_rules
from towns.services import Services
from towns.services.errors import ServiceError
from towns.sweeps.drift_alerts import Standing
from towns.sweeps.repair_scene import scopes_awake


@dataclass(slots=True)
class Part:
    """The towns of one app, and how many machines and volumes their rows name."""

    drifts: list[Drift] = field(default_factory=list)
    towns: set[UUID] = field(default_factory=set)
    awake: Counter[str] = field(default_factory=Counter)
    machines: int = 0
    volumes: int = 0


@dataclass(slots=True)
class Comparison:
    """The towns whose app gave its lists, and the machines and volumes that any row names."""

    parts: dict[str, Part] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)

    def add(self, row: TownRow, lists: Lists) -> None:
        """Compare one more town, unless it is unknown how it is."""
        self.recorded.update(filter(None, (row.machine_id, row.volume_id)))
        if row.app not in lists.apps or not row.rests(lists.at):
            return
        part = self.parts.setdefault(row.app, Part())
        part.towns.add(row.id)
        part.machines += bool(row.machine_id)
        part.volumes += bool(row.volume_id)
        part.awake.update(scopes_awake(row))
        part.drifts += compare(row, lists)

    def without(self, apps: Collection[str]) -> "Comparison":
        """That of the other apps. What rows name stays named."""
        parts = {app: part for app, part in self.parts.items() if app not in apps}
        return Comparison(parts, self.recorded)

    def whole(self) -> Part:
        """All apps together."""
        parts = list(self.parts.values())
        if len(parts) == 1:
            return parts[0]
        return Part(
            drifts=[drift for part in parts for drift in part.drifts],
            towns={town for part in parts for town in part.towns},
            awake=sum((part.awake for part in parts), Counter[str]()),
            machines=sum(part.machines for part in parts),
            volumes=sum(part.volumes for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Doubter:
    """Says which lists are not to be believed, since too much is missing in them at once.

    What was proved gone by an earlier sweep doesn't count as missing again. Of towns that staff
    have `named` many may be gone: each is still proved by its own 404.
    """

    standing: Standing
    services: Services
    named: bool

    def of_apps(self, comparison: Comparison, lists: Lists) -> dict[str, str]:
        """Why the lists of single apps are not believed: a deleted app, or a wrong token for it.
        Where there is one app alone it is `of_all` that says so."""
        if len(lists.apps) < 2:
            return {}
        machines = Counter(one.app for one in lists.machines.values())
        volumes = Counter(one.app for one in lists.volumes.values())
        found = {}
        for app, part in comparison.parts.items():
            if why := self._why(part, machines[app], volumes[app]):
                found[app] = self._with_word_of(why, [app])
        return found

    def of_all(self, comparison: Comparison, lists: Lists) -> str:
        """Why the lists are not believed; nothing when they are."""
        why = self._why(comparison.whole(), len(lists.machines), len(lists.volumes))
        return self._with_word_of(why, sorted(comparison.parts)) if why else ""

    def _why(self, part: Part, machines_listed: int, volumes_listed: int) -> str:
        news = [one for one in part.drifts if one.missing and not self.standing.knows(one)]
        machines = sum(one.kind == DriftKind.GONE for one in news)
        limit: float = inf if self.named else settings.GASTOWN_RECOVERY_LIMIT
        share = inf if self.named else health_rules().breaker_share
        return doubt(
            "machine",
            expected=part.machines,
            missing=machines,
            listed=machines_listed,
            limit=limit,
            share=share,
        ) or doubt(
            "volume",
            expected=part.volumes,
            missing=len(news) - machines,
            listed=volumes_listed,
            limit=limit,
            share=share,
        )

    def _with_word_of(self, why: str, apps: Collection[str]) -> str:
        for app in apps:
            try:
                self.services.fly.of(app).get_app()
            except ServiceError as error:
                return f"{why} {error}"
        return f"{why} The app itself answers." if len(apps) == 1 else f"{why} The apps answer."


def told(unknown: Mapping[str, str]) -> str:
    """What is not known of some apps, in a sentence for each."""
    return " ".join(f"Of app {app} nothing is known: {why}" for app, why in unknown.items())
