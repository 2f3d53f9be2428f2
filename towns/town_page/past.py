"""What is read for a town's page: by town, from indexes, and never more than so many rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from towns.models import Alert, HealthCheck, HealthHour, LifecycleEvent, Town

DAY = timedelta(days=1)
CHECKS = 1500
"""As many checks as a page reads: a day of them under the shortest sensible period."""
ROWS = 60


class Span(StrEnum):
    """How far the charts reach."""

    DAY = "day"
    WEEK = "week"

    @property
    def length(self) -> timedelta:
        """Its length of time."""
        return DAY if self == Span.DAY else 7 * DAY


@dataclass(frozen=True, slots=True)
class Sample:
    """Figures of a moment, None where unknown; shares are 0 to 1."""

    at: datetime
    result: str
    reason: str
    latency_ms: float | None
    polecats: float | None
    cpu: float | None
    memory: float | None
    disk: float | None


@dataclass(frozen=True, slots=True)
class Past:
    """The newest checks, events and alerts of a town up to a moment, the newest first."""

    checks: list[Sample]
    events: list[LifecycleEvent]
    alerts: list[Alert]


def read_past(town: Town, before: datetime) -> Past:
    """Read it in three statements. `before` is the moment that the page begins at."""
    events = town.events.filter(at__lt=before).select_related("operation")
    alerts = town.alerts.filter(opened_at__lt=before)
    return Past(read_checks(town, before - DAY, before), list(events[:ROWS]), list(alerts[:ROWS]))


def read_checks(town: Town, since: datetime, until: datetime) -> list[Sample]:
    """The checks of a span, the newest first; one statement."""
    rows = HealthCheck.objects.filter(town=town, checked_at__gte=since, checked_at__lt=until)
    names = (
        *("checked_at", "result", "reason", "latency_ms", "polecats_active", "cpu_ratio"),
        *("memory_used", "memory_total", "disk_used", "disk_total"),
    )
    return [
        Sample(at, result, reason, latency, polecats, cpu, _share(mem, mems), _share(disk, disks))
        for at, result, reason, latency, polecats, cpu, mem, mems, disk, disks in rows.order_by(
            "-checked_at"
        ).values_list(*names)[:CHECKS]
    ]


def read_hours(town: Town, since: datetime) -> list[Sample]:
    """The hourly figures from a moment on, the oldest first; one statement."""
    return [
        Sample(
            row.hour,
            "failed" if row.failed else "ok" if row.ok else "unknown",
            f"{row.failed} of {row.checks} checks failed" if row.failed else "",
            row.latency_ms_avg,
            row.polecats_active_avg,
            row.cpu_ratio_avg,
            _share(row.memory_used_avg, row.memory_total_max),
            _share(row.disk_used_avg, row.disk_total_max),
        )
        for row in HealthHour.objects.filter(town=town, hour__gte=since).order_by("hour")
    ]


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
