"""Hourly figures from health checks, in one statement an hour.

An hour's figures may be made again at any time: they are replaced only by those of at least as
many checks. So it harms nothing if two do it at once, or if checks of that hour are gone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connections
from django.db.models import Max, Min, Sum

from towns.models import HealthCheck, HealthHour

HOUR = timedelta(hours=1)
_EVER = datetime.min.replace(tzinfo=UTC)
_FIGURES = {
    "checks": "count(*)",
    "ok": "sum(CASE WHEN result = 'ok' THEN 1 ELSE 0 END)",
    "failed": "sum(CASE WHEN result = 'failed' THEN 1 ELSE 0 END)",
    "unknown": "sum(CASE WHEN result = 'unknown' THEN 1 ELSE 0 END)",
    "downtime_seconds": "CAST(round(sum(CASE WHEN result = 'failed' THEN "
    "CASE WHEN seconds < %(gap)s THEN seconds ELSE %(gap)s END ELSE 0 END)) AS integer)",
    "latency_ms_avg": "avg(latency_ms)",
    "latency_ms_max": "max(latency_ms)",
    "tmux_sessions_max": "max(tmux_sessions)",
    "polecats_active_avg": "avg(polecats_active)",
    "polecats_active_max": "max(polecats_active)",
    "polecats_total_max": "max(polecats_total)",
    "merge_queue_max": "max(merge_queue)",
    "disk_used_avg": "avg(disk_used)",
    "disk_used_max": "max(disk_used)",
    "disk_total_max": "max(disk_total)",
    "memory_used_avg": "avg(memory_used)",
    "memory_used_max": "max(memory_used)",
    "memory_total_max": "max(memory_total)",
    "cpu_ratio_avg": "avg(cpu_ratio)",
    "cpu_ratio_max": "max(cpu_ratio)",
}
_NEXT = "lead(checked_at) OVER (PARTITION BY town_id ORDER BY checked_at, id)"
_SECONDS = {
    "postgresql": f"extract(epoch FROM {_NEXT} - checked_at)",
    "sqlite": f"(julianday({_NEXT}) - julianday(checked_at)) * 86400",
}


def make_hours(
    now: datetime, *, enough: Callable[[], bool] = lambda: False, using: str = "default"
) -> int:
    """Make the figures of the hours that are over and have none; returns how many hours.

    Goes on where the last run ended, the oldest first, until `enough` says so. A check that is
    stored late is looked for again before checks are dropped (`counted`).
    """
    made = 0
    newest = HealthHour.objects.using(using).aggregate(newest=Max("hour"))["newest"]
    since = _EVER if newest is None else newest + HOUR
    over = HealthCheck.objects.using(using).filter(checked_at__lt=over_before(now))
    while not enough():
        first = over.filter(checked_at__gte=since).aggregate(first=Min("checked_at"))["first"]
        if first is None:
            break
        make_hour(hour_of(first), using)
        since = hour_of(first) + HOUR
        made += 1
    return made


def make_hour(hour: datetime, using: str = "default") -> int:
    """Make or mend one hour's figures; returns of how many towns."""
    connection = connections[using]
    of = connection.ops.adapt_datetimefield_value
    names = list(_FIGURES)
    columns = ", ".join(names)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    sql = f"""
        WITH seen AS (
            SELECT *, {_SECONDS[connection.vendor]} AS seconds FROM towns_healthcheck
            WHERE checked_at >= %(hour)s AND checked_at < %(watched)s)
        INSERT INTO towns_healthhour (town_id, hour, {columns})
        SELECT town_id, %(hour)s, {", ".join(_FIGURES.values())} FROM seen
        WHERE checked_at < %(end)s GROUP BY town_id ORDER BY town_id
        ON CONFLICT (town_id, hour) DO UPDATE SET {changes}
        WHERE excluded.checks >= towns_healthhour.checks
    """
    given = {
        "hour": of(hour),
        "end": of(hour + HOUR),
        "watched": of(hour + HOUR + gap()),
        "gap": gap().total_seconds(),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return int(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Counted:
    """An hour, how many checks it has, and how many its figures are made of."""

    hour: datetime
    checks: int
    told: int


def counted(
    before: datetime, *, since: datetime | None = None, using: str = "default"
) -> Iterator[Counted]:
    """The hours that have checks, the oldest first; both ends are whole hours.

    One hour at a time as it is asked for: a large fleet's day in one statement takes longer than a
    task may.
    """
    checks = HealthCheck.objects.using(using).filter(checked_at__lt=before)
    moment = since or _EVER
    while True:
        first = checks.filter(checked_at__gte=moment).aggregate(first=Min("checked_at"))["first"]
        if first is None:
            return
        hour = hour_of(first)
        moment = hour + HOUR
        figures = HealthHour.objects.using(using).filter(hour=hour).aggregate(told=Sum("checks"))
        count = checks.filter(checked_at__gte=hour, checked_at__lt=moment).count()
        yield Counted(hour, count, figures["told"] or 0)


def is_missing(hour: datetime, using: str = "default") -> bool:
    """Whether a town has more checks in that hour than its figures are made of."""
    connection = connections[using]
    of = connection.ops.adapt_datetimefield_value
    sql = """
        SELECT 1 FROM (
            SELECT town_id, count(*) AS checks FROM towns_healthcheck
            WHERE checked_at >= %(hour)s AND checked_at < %(end)s GROUP BY town_id) c
        LEFT JOIN towns_healthhour h ON h.town_id = c.town_id AND h.hour = %(hour)s
        WHERE h.checks IS NULL OR h.checks < c.checks LIMIT 1
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, {"hour": of(hour), "end": of(hour + HOUR)})
        return cursor.fetchone() is not None


def over_before(now: datetime) -> datetime:
    """The hour before which all are over, and what followed their last checks is known."""
    return hour_of(now - gap())


def gap() -> timedelta:
    """After so long without a check nothing is known any more: two periods."""
    return timedelta(seconds=2 * settings.GASTOWN_HEALTH_PERIOD_SECONDS)


def hour_of(moment: datetime) -> datetime:
    """When its UTC hour began."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
