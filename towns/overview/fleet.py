"""The fleet in figures: towns by status, and the machine hours that sleep saves.

Counting a hundred thousand rows for each look would be waste: the figures are kept for some
seconds, for all who look.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count

from towns.models import Sweep, Town
from towns.words import DesiredState, Status, StopReason

KEPT_SECONDS = 10
KEY = "towns.overview.fleet"
_DAY = timedelta(days=1)
_BEFORE = timedelta(hours=1)
"""What the last idle sweep before the day counted holds at its beginning."""


@dataclass(frozen=True, slots=True)
class Saved:
    """How many towns sleep for being idle, and the machine hours that such sleep saved in the last
    day, as the idle sweeps counted it; `money` by their price, None where no price is set."""

    towns: int
    hours: float
    money: float | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """All living towns by status, by what is wanted of them, and what sleep saves. `read_at`: when
    they were counted."""

    statuses: list[tuple[Status, int]]
    desired: list[tuple[DesiredState, int]]
    saved: Saved
    read_at: datetime

    @property
    def total(self) -> int:
        """All living towns."""
        return sum(count for _, count in self.statuses)


def read_fleet(now: datetime) -> Fleet:
    """The figures, at most `KEPT_SECONDS` old; two statements when they are older."""
    kept = cache.get(KEY)
    if isinstance(kept, Fleet) and timedelta(0) <= now - kept.read_at:
        return kept
    living = Town.objects.exclude(status=Status.DESTROYED).order_by()
    statuses, desired, asleep = Counter[str](), Counter[str](), 0
    counted = living.values_list("status", "desired_state", "stop_reason").annotate(Count("pk"))
    for status, wish, reason, count in counted:
        statuses[status] += count
        desired[wish] += count
        if (status, reason) == (Status.STOPPED, StopReason.IDLE):
            asleep += count
    fleet = Fleet(
        [(status, statuses[status]) for status in Status if statuses[status]],
        [(wish, desired[wish]) for wish in DesiredState if desired[wish]],
        _saved(asleep, now),
        now,
    )
    cache.set(KEY, fleet, KEPT_SECONDS)
    return fleet


def _saved(asleep: int, now: datetime) -> Saved:
    """From one idle sweep to the next as many slept as the first of them counted."""
    since = now - _DAY
    counted = Sweep.objects.filter(
        kind=Sweep.Kind.IDLE, finished_at__gt=since - _BEFORE, finished_at__lte=now
    )
    samples = [
        (max(at, since), summary["asleep"])
        for at, summary in counted.order_by("finished_at").values_list("finished_at", "summary")
        if at is not None and "asleep" in summary
    ]
    slept = timedelta(0)
    for (at, count), (until, _) in pairwise([*samples, (now, 0)]):
        slept += count * (until - at)
    hours = slept / timedelta(hours=1)
    price = settings.GASTOWN_MACHINE_HOUR_PRICE
    return Saved(asleep, hours, round(hours * price, 2) if price else None)
