"""Flapping in the health sweep: one event and one alert when it begins, and when it is over."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from towns import alerts, history
from towns.alerts.opening import new_alert
from towns.flapping import Flapping, FlappingRules, episode_began, was_well
from towns.history import Actor
from towns.models import Alert, LifecycleEvent, Town
from towns.readable import duration
from towns.rules import flapping_rules

CAUSE = "flapping"
FIELDS = ("episode_ended_at", "flap_count", "flapping_since")


def flapping_of(town: Town) -> Flapping:
    """What a town's row says of it."""
    return Flapping(town.flap_count, town.episode_ended_at, town.flapping_since)


@dataclass(slots=True)
class Flaps:
    """Collects, over a chunk, whose flapping began and whose is over; `save` tells it."""

    actor: Actor
    now: datetime
    rules: FlappingRules = field(default_factory=flapping_rules)
    events: list[LifecycleEvent] = field(default_factory=list)
    begun: list[Alert] = field(default_factory=list)
    over: list[UUID] = field(default_factory=list)

    def failed(self, town: Town, *, first: bool) -> None:
        """A check failed; `first`: it began an episode."""
        if not first:
            return
        before = town.flapping_since
        _remember(town, episode_began(flapping_of(town), self.now, self.rules))
        if before is None and town.flapping_since is not None:
            self._begin(town)

    def well(self, town: Town, *, closed: bool) -> None:
        """A check was good; `closed`: it closed an episode."""
        if closed:
            town.episode_ended_at = self.now
        before = town.flapping_since
        _remember(town, was_well(flapping_of(town), self.now, self.rules))
        if before is not None and town.flapping_since is None:
            lasted = (self.now - before).total_seconds()
            told = f"no episode for {duration(self.rules.window.total_seconds())}"
            self._event(town, "flapping_over", told, {"seconds": round(lasted)})
            self.over.append(town.pk)

    def save(self) -> None:
        """Open and close alerts, in a fixed number of statements. The events are the caller's to
        save."""
        alerts.open_many(self.begun)
        if self.over:
            standing = Alert.objects.filter(town__in=self.over, cause=CAUSE, resolved_at=None)
            ids = list(standing.values_list("pk", flat=True))
            alerts.resolve_many(ids, resolution="it has been well for a while", now=self.now)

    def _begin(self, town: Town) -> None:
        window = duration(self.rules.window.total_seconds())
        told = f"{town.flap_count} episodes, each begun within {window} after the one before"
        self._event(
            town, CAUSE, told, {"rule": "flapping", "episodes": town.flap_count, "window": window}
        )
        self.begun.append(
            new_alert(
                town.pk,
                CAUSE,
                severity="warning",
                message=f"It fails and heals by turns: {told}. Look for what comes and goes: its "
                "memory, its disk, its host, its agents. You are told this once.",
                now=self.now,
            )
        )

    def _event(self, town: Town, kind: str, reason: str, data: dict[str, object]) -> None:
        event = history.new_event(
            town, kind, actor=self.actor, now=self.now, reason=reason, data=data
        )
        self.events.append(event)


def _remember(town: Town, known: Flapping) -> None:
    town.flap_count, town.flapping_since = known.count, known.since
