"""What is known of a town when `why` is asked: read once, in a fixed number of statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max, Q

from towns.budgets import room_left
from towns.flapping import FlappingRules
from towns.flows.begin import has_living_namesake
from towns.models import Alert, LifecycleEvent, Operation, Sweep, Town
from towns.policy import HealthRules, IdleRules, PastRestart
from towns.presenting import open_operation
from towns.rules import flapping_rules, health_rules, idle_rules
from towns.standing import Standing, read_standing
from towns.sweeps.planning import candidates, past_restarts
from towns.sweeps.slots import slot_of
from towns.words import ACTIVE, Status

AHEAD = 500
"""As many failing towns are looked at that come before this one."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A kind of sweep: how often it runs, and the newest slot that was begun."""

    period: timedelta
    newest: datetime | None = None

    def first_from(self, moment: datetime) -> datetime:
        """The first slot at that moment or later."""
        slot = slot_of(moment, self._seconds)
        return slot if slot == moment else slot + self.period

    def next_after(self, now: datetime) -> datetime:
        """When the next sweep is due: the present slot, if that wasn't begun yet."""
        slot = slot_of(now, self._seconds)
        return slot + self.period if self.newest is not None and self.newest >= slot else slot

    @property
    def _seconds(self) -> int:
        return int(self.period.total_seconds())


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `explain` takes. `ahead` are the failing towns whose turn comes before this one's,
    each with its restarts; `room` is how many restarts may begin now."""

    town: Town
    operation: Operation | None
    event: LifecycleEvent | None
    standing: Standing
    alerts: tuple[Alert, ...]
    past: Sequence[PastRestart]
    ahead: tuple[tuple[Town, Sequence[PastRestart]], ...]
    room: int
    health: Beat
    idle: Beat
    health_rules: HealthRules
    idle_rules: IdleRules
    flapping_rules: FlappingRules
    name_taken: bool = False


def gather(town: Town, now: datetime) -> Facts:
    """Read what `explain` takes."""
    rules, active = health_rules(), Status(town.status) in ACTIVE
    ahead = _before(town, rules) if active and town.consecutive_failures else []
    past: dict[UUID, list[PastRestart]] = past_restarts([town, *ahead], rules, now)
    slots = dict(
        Sweep.objects.filter(kind__in=(Sweep.Kind.HEALTH, Sweep.Kind.IDLE))
        .order_by()
        .values_list("kind")
        .annotate(newest=Max("slot"))
    )
    return Facts(
        town=town,
        operation=open_operation(town),
        event=town.status_event,
        standing=read_standing(now),
        alerts=tuple(Alert.objects.filter(town=town, resolved_at=None).order_by("id")),
        past=past.get(town.pk, ()),
        ahead=tuple((one, past.get(one.pk, ())) for one in ahead),
        room=room_left(),
        health=_beat(settings.GASTOWN_HEALTH_PERIOD_SECONDS, slots.get(Sweep.Kind.HEALTH)),
        idle=_beat(settings.GASTOWN_IDLE_PERIOD_SECONDS, slots.get(Sweep.Kind.IDLE)),
        health_rules=rules,
        idle_rules=idle_rules(),
        flapping_rules=flapping_rules(),
        name_taken=town.status == Status.DESTROYED and has_living_namesake(town),
    )


def _beat(seconds: int, newest: datetime | None) -> Beat:
    return Beat(timedelta(seconds=seconds), newest)


def _before(town: Town, rules: HealthRules) -> list[Town]:
    since = town.episode_since
    if since is None:
        return []
    earlier = Q(episode_since__lt=since) | Q(episode_since=since, pk__lt=town.pk)
    return list(candidates(rules).filter(earlier)[:AHEAD])
