"""What is read for a town's page: by town, from indexes, and never more than so many rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from towns.models import Alert, HealthCheck, HealthHour, LifecycleEvent, Operation, Town

DAY = timedelta(days=1)
CHECKS = 1500
"""As many checks as a chart takes: a day of them under the shortest sensible period."""
ROWS = 60
"""As many events, alerts and operations as a page of the timeline reads of each."""
CHECKS_TOLD = 500
"""As many checks as a page of the timeline reads: a day of them, which fold into few lines."""


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
    """What happened to a town before a moment, each kind the newest first and cut at its limit."""

    before: datetime
    checks: Sequence[Sample] = ()
    events: Sequence[LifecycleEvent] = ()
    opened: Sequence[Alert] = ()
    resolved: Sequence[Alert] = ()
    operations: Sequence[Operation] = ()


def read_past(town: Town, before: datetime) -> Past:
    """Read it in five statements. `before` is the moment that the page begins at."""
    resolved = town.alerts.filter(resolved_at__lt=before).order_by("-resolved_at", "-id")
    return Past(
        before,
        read_checks(town, None, before, CHECKS_TOLD),
        list(town.events.filter(at__lt=before)[:ROWS]),
        list(town.alerts.filter(opened_at__lt=before)[:ROWS]),
        list(resolved[:ROWS]),
        list(town.operations.filter(created_at__lt=before)[:ROWS]),
    )


def read_checks(
    town: Town, since: datetime | None, until: datetime, limit: int = CHECKS
) -> list[Sample]:
    """The newest checks of a span, the newest first; one statement. `since` None: of all time."""
    rows = HealthCheck.objects.filter(town=town, checked_at__lt=until)
    if since is not None:
        rows = rows.filter(checked_at__gte=since)
    names = (
        *("checked_at", "result", "reason", "latency_ms", "polecats_active", "cpu_ratio"),
        *("memory_used", "memory_total", "disk_used", "disk_total"),
    )
    return [
        Sample(at, result, reason, latency, polecats, cpu, _share(mem, mems), _share(disk, disks))
        for at, result, reason, latency, polecats, cpu, mem, mems, disk, disks in rows.order_by(
            "-checked_at"
        ).values_list(*names)[:limit]
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
