"""What needs a person first: towns in error, unhealthy or stuck, and what alerts are open for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from towns.models import Alert, Operation, Town
from towns.words import OperationState, Status

SHOWN = 12
_GRAVITY = {"critical": 0, Status.ERROR: 1, "stuck": 2, Status.UNHEALTHY: 3, "warning": 4}


@dataclass(slots=True)
class Case:
    """A town, or the fleet (None), with all that is wrong with it; `gravity` 0 is the worst."""

    town: Town | None
    since: datetime
    gravity: int
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str, gravity: int, since: datetime) -> None:
        """One more thing that is wrong."""
        self.reasons.append(reason)
        self.gravity = min(self.gravity, gravity)
        self.since = min(self.since, since)


@dataclass(frozen=True, slots=True)
class Attention:
    """The worst cases, and how much there is altogether."""

    cases: list[Case]
    critical: int
    warnings: int
    stuck: int

    @property
    def nothing(self) -> bool:
        """Whether all is well."""
        return not self.cases


def read_attention(now: datetime) -> Attention:
    """Read it in five statements, however large the fleet is."""
    counts = Alert.objects.filter(resolved_at=None).aggregate(
        critical=Count("pk", filter=Q(severity=Alert.Severity.CRITICAL)),
        warnings=Count("pk", filter=Q(severity=Alert.Severity.WARNING)),
    )
    late = Operation.objects.filter(state=OperationState.OPEN, deadline_at__lt=now)
    cases = _gather(
        [
            *Alert.objects.filter(resolved_at=None)
            .select_related("town__owner")
            .order_by("severity", "-id")[:SHOWN]  # critical comes before warning
        ],
        [*late.select_related("town__owner").order_by("deadline_at")[:SHOWN]],
        [
            *Town.objects.filter(status__in=(Status.ERROR, Status.UNHEALTHY))
            .select_related("owner")
            .order_by("status")[:SHOWN]  # error comes before unhealthy
        ],
    )
    worst = sorted(cases, key=lambda case: (case.gravity, case.since))[:SHOWN]
    return Attention(worst, counts["critical"], counts["warnings"], late.count())


def _gather(
    alerts: Iterable[Alert], late: Iterable[Operation], towns: Iterable[Town]
) -> list[Case]:
    cases: dict[UUID | None, Case] = {}

    def add(town: Town | None, reason: str, kind: str, since: datetime) -> None:
        key = None if town is None else town.pk
        case = cases.setdefault(key, Case(town, since, _GRAVITY[kind]))
        case.add(reason, _GRAVITY[kind], since)

    for town in towns:
        why = town.status_reason or town.failure_reason
        add(town, f"{town.status}: {why}" if why else town.status, town.status, town.status_since)
    for operation in late:
        told = f": {operation.message}" if operation.message else ""
        what = f"{operation.kind} is beyond its deadline, at {operation.step}{told}"
        add(operation.town, what.replace("_", " "), "stuck", operation.created_at)
    for alert in alerts:
        add(alert.town, alert.message, alert.severity, alert.opened_at)
    return list(cases.values())
