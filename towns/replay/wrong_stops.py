"""How many idle stops were wrong: their owner undid them at once (product.md 1.7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from towns.models import Operation
from towns.sweeps import idle
from towns.words import OperationKind, OperationState

KEPT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class WrongStops:
    """The figure of the fleet; `share` is 0 to 1, None where nothing was stopped."""

    stops: int
    wrong: int
    share: float | None


def wrong_stop_rate(now: datetime, days: int = 7) -> WrongStops:
    """Of the idle stops of the last days: those whose town a person (its owner, or staff for
    them) started again within
    `GASTOWN_WRONG_STOP_MINUTES` of its having stopped, or meanwhile. One statement.

    Stops that a person asked for are none, and neither are those that were called off.
    """
    within = timedelta(minutes=settings.GASTOWN_WRONG_STOP_MINUTES)
    undone = Operation.objects.filter(
        town=OuterRef("town"),
        kind=OperationKind.START,
        automatic=False,
        created_at__gte=OuterRef("finished_at"),
        created_at__lte=OuterRef("finished_at") + within,
    )
    found = (
        idle_stops()
        .filter(finished_at__gte=now - timedelta(days=days), finished_at__lte=now)
        .annotate(undone=Exists(undone))
        .aggregate(stops=Count("pk"), wrong=Count("pk", filter=Q(undone=True)))
    )
    stops, wrong = found["stops"], found["wrong"]
    return WrongStops(stops, wrong, wrong / stops if stops else None)


def idle_stops() -> QuerySet[Operation]:
    """The idle stops that were carried out, which the index `idle_stops_by_time` holds."""
    return Operation.objects.filter(
        actor=idle.ACTOR.name, kind=OperationKind.STOP, state=OperationState.SUCCEEDED
    )


def recent_wrong_stop_rate(now: datetime, days: int = 7) -> WrongStops:
    """The same, not older than `KEPT_SECONDS`, for pages: it is read for each process and so often
    alone, since among hundreds of thousands of stops it takes a second."""
    key = f"towns.wrong_stop_rate.{days}"
    kept: WrongStops | None = cache.get(key)
    if kept is None:
        kept = wrong_stop_rate(now, days)
        cache.set(key, kept, KEPT_SECONDS)
    return kept
