"""Alerts that follow from what a healthy town tells: a stale heartbeat, a full disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from towns import alerts
from towns.alerts.opening import new_alert
from towns.models import Alert
from towns.probe import HealthReport
from towns.readable import duration, used

STALE, DISK_WARNING, DISK_CRITICAL = "stale_heartbeat", "disk_warning", "disk_critical"
_SEVERITY = {STALE: "warning", DISK_WARNING: "warning", DISK_CRITICAL: "critical"}


@dataclass(frozen=True, slots=True)
class Warned:
    """A town and its good report."""

    town_id: UUID
    report: HealthReport


def update_warnings(seen: Sequence[Warned], now: datetime) -> None:
    """Open what is new and close what is over, in three statements at most.

    An alert closes on positive evidence alone: a figure that is missing leaves it open.
    """
    if not seen:
        return
    open_now = Alert.objects.filter(
        town__any_of=[one.town_id for one in seen], cause__in=list(_SEVERITY), resolved_at=None
    )
    standing = {
        (town_id, cause): pk for town_id, cause, pk in open_now.values_list("town", "cause", "pk")
    }
    fresh, over = [], []
    for one in seen:
        for cause, message in _verdicts(one, now).items():
            known = standing.get((one.town_id, cause))
            if message and known is None:
                fresh.append(
                    new_alert(
                        one.town_id, cause, severity=_SEVERITY[cause], message=message, now=now
                    )
                )
            elif not message and known is not None:
                over.append(known)
    alerts.open_many(fresh)
    alerts.resolve_many(over, resolution="the town says that it is over", now=now)


def _verdicts(one: Warned, now: datetime) -> dict[str, str]:
    """For each cause that the report says something about: the message, or nothing if all is
    well."""
    report, found = one.report, {}
    if report.daemon_heartbeat_at is not None:
        age = now - report.daemon_heartbeat_at
        limit = timedelta(minutes=settings.GASTOWN_STALE_HEARTBEAT_MINUTES)
        found[STALE] = (
            f"The daemon runs but has not beaten for {duration(age.total_seconds())}: an E-stop, "
            "or an expired token? Look into the town."
            if age > limit
            else ""
        )
    if report.disk_used is not None and report.disk_total:
        percent = 100 * report.disk_used / report.disk_total
        critical = percent >= settings.GASTOWN_DISK_CRITICAL_PERCENT
        warns = percent >= settings.GASTOWN_DISK_WARN_PERCENT and not critical
        text = _full(report.disk_used, report.disk_total) if critical or warns else ""
        found[DISK_CRITICAL] = text if critical else ""
        found[DISK_WARNING] = text if warns else ""
    return found


def _full(bytes_used: int, bytes_in_all: int) -> str:
    return (
        f"Its volume is nearly full: {used(bytes_used, bytes_in_all)}. "
        "Have the owner clear it up, or extend the volume at Fly."
    )
