"""The fleet in figures: towns by status, and the machine hours that sleep saves.

Counting a hundred thousand rows for each look would be waste: the figures are kept for some
seconds, for all who look.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, DurationField, ExpressionWrapper, F, Sum, Value
from django.db.models.functions import Least

from towns.models import Town
from towns.words import DesiredState, Status, StopReason

KEPT_SECONDS = 10
KEY = "towns.overview.fleet"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Saved:
    """Machine hours of the last day that the towns asleep now did not run; `money` by their price,
    None where no price is set."""

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
    statuses, desired = Counter[str](), Counter[str]()
    for status, wish, count in living.values_list("status", "desired_state").annotate(Count("pk")):
        statuses[status] += count
        desired[wish] += count
    fleet = Fleet(
        [(status, statuses[status]) for status in Status if statuses[status]],
        [(wish, desired[wish]) for wish in DesiredState if desired[wish]],
        _saved(now),
        now,
    )
    cache.set(KEY, fleet, KEPT_SECONDS)
    return fleet


def _saved(now: datetime) -> Saved:
    slept = ExpressionWrapper(Value(now) - F("status_since"), output_field=DurationField())
    at_most = Least(slept, Value(_DAY, output_field=DurationField()))
    found = Town.objects.filter(status=Status.STOPPED, stop_reason=StopReason.IDLE).aggregate(
        towns=Count("pk"), slept=Sum(at_most)
    )
    hours = (found["slept"] or timedelta(0)) / timedelta(hours=1)
    price = settings.GASTOWN_MACHINE_HOUR_PRICE
    return Saved(found["towns"], hours, round(hours * price, 2) if price else None)
