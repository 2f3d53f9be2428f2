"""The last 24 hours as charts, from what sweeps noted of themselves: no check is read."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncHour
from django.utils.safestring import SafeString

from towns.charts import Series, bar_chart, line_chart
from towns.models import Operation, Sweep
from towns.words import OperationKind

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
Point = tuple[datetime, float | None]


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
                Series("asked", with_gaps(_results(sweeps, "ok", "failed", "unknown")), "busy"),
                Series("failing", with_gaps(_results(sweeps, "failed")), "bad"),
                Series("unknown", with_gaps(_results(sweeps, "unknown")), "warn"),
            ],
            title="Towns asked by the health sweep",
            **span,
        ),
        line_chart(
            [Series("seconds", with_gaps(map(_took, sweeps)), "busy")],
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


def with_gaps(points: Iterable[Point]) -> list[Point]:
    """The points, with an unknown one wherever several sweeps are missing: a time in which nobody
    looked is no straight line."""
    found: list[Point] = []
    steps: Counter[timedelta] = Counter()
    ordered = list(points)
    for (before, _), (after, _) in pairwise(ordered):
        steps[after - before] += 1
    usual = steps.most_common(1)[0][0] if steps else DAY
    for point in ordered:
        if found and point[0] - found[-1][0] > 3 * usual:
            found.append((found[-1][0] + usual, None))
        found.append(point)
    return found


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
