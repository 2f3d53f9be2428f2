"""The last 24 hours as charts, from what sweeps noted of themselves: no check is read."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.core.cache import cache
from django.db.models import Count
from django.db.models.functions import TruncHour
from django.utils.safestring import SafeString

from towns.charts import Point, Series, bar_chart, line_chart, with_gaps
from towns.models import Operation, Sweep
from towns.words import OperationKind

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
KEPT_SECONDS = 60
KEY = "towns.overview.day"


def recent_day_charts(now: datetime) -> list[SafeString]:
    """The same, at most `KEPT_SECONDS` old: a day of restarts is counted for it."""
    kept: tuple[datetime, list[SafeString]] | None = cache.get(KEY)
    if kept is not None and timedelta(0) <= now - kept[0]:
        return kept[1]
    charts = day_charts(now)
    cache.set(KEY, (now, charts), KEPT_SECONDS)
    return charts


def day_charts(now: datetime) -> list[SafeString]:
    """Towns asked and failing, how long the sweep took, and automatic restarts; two statements."""
    since = now - DAY
    sweeps: list[Any] = list(
        Sweep.objects.filter(kind=Sweep.Kind.HEALTH, slot__gte=since, finished_at__isnull=False)
        .order_by("slot")
        .values("slot", "started_at", "finished_at", "summary")
    )
    span: dict[str, Any] = {"since": since, "until": now}
    return [
        line_chart(
            [
                Series("asked", _gapped(_results(sweeps, "ok", "failed", "unknown")), "busy"),
                Series("failing", _gapped(_results(sweeps, "failed")), "bad"),
                Series("unknown", _gapped(_results(sweeps, "unknown")), "warn"),
            ],
            title="Towns asked by the health sweep",
            **span,
        ),
        line_chart(
            [Series("seconds", _gapped(map(_took, sweeps)), "busy")],
            title="Duration of the health sweep, in seconds",
            **span,
        ),
        bar_chart(
            Series("restarts", _restarts(since, now), "warn"),
            title="Automatic restarts per hour",
            step=HOUR,
            **span,
        ),
    ]


def usual_step(points: Sequence[Point]) -> timedelta:
    """The time that most often lies between two points; a day where there are no two."""
    steps = Counter(after - before for (before, _), (after, _) in pairwise(points))
    return steps.most_common(1)[0][0] if steps else DAY


def _gapped(points: Iterable[Point]) -> list[Point]:
    found = list(points)
    return with_gaps(found, usual_step(found))


def _results(sweeps: list[Any], *names: str) -> Iterable[Point]:
    for sweep in sweeps:
        results = sweep["summary"].get("results")
        yield sweep["slot"], None if results is None else sum(results.get(n, 0) for n in names)


def _took(sweep: Any) -> Point:
    return sweep["slot"], (sweep["finished_at"] - sweep["started_at"]).total_seconds()


def _restarts(since: datetime, now: datetime) -> list[Point]:
    counts = dict(
        Operation.objects.filter(
            kind=OperationKind.RESTART, automatic=True, created_at__gte=since, created_at__lte=now
        )
        .order_by()
        .annotate(hour=TruncHour("created_at"))
        .values_list("hour")
        .annotate(Count("pk"))
    )
    first = since.replace(minute=0, second=0, microsecond=0)
    hours = [first + HOUR * number for number in range(25)]
    return [(max(hour, since), float(counts.get(hour, 0))) for hour in hours]
