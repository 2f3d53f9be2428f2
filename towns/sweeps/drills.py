"""Which towns are drilled, and when; and what drills have left over is removed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Max, Q

from towns import actions, alerts, automation
from towns.automation import FLEET
from towns.flows.left_over import Cleaned, clean_up
from towns.history import Actor
from towns.models import Drill, Operation, Town
from towns.services import Services
from towns.services.errors import ServiceError
from towns.standing import not_held, read_standing
from towns.words import OperationKind, OperationState, Status

ACTOR = Actor.automation("rule:drills")
DAY = 86400
SAMPLE = 20
"""Of so many towns that were drilled longest ago, chance takes one."""
IN_A_ROW = 5
"""So many drills that prove nothing are news: nobody would know of a backup that doesn't work."""
INCONCLUSIVE = "drills_inconclusive"


@dataclass(slots=True)
class DrillsReport:
    """What was done about drills."""

    begun: list[str] = field(default_factory=list)
    cleaned: Cleaned | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the row of the sweep."""
        return {
            "drills_begun": len(self.begun),
            "drills_left_over": self.cleaned.left if self.cleaned else 0,
            "problems": self.problems,
            "note": self.note,
        }

    @property
    def problems(self) -> list[str]:
        """Why something that drills left over could not be removed."""
        return self.cleaned.problems if self.cleaned else []


def see_to_drills(services: Services) -> DrillsReport:
    """Remove what is left over, begin the drill that is due, and tell if they prove nothing."""
    report = DrillsReport()
    try:
        report.cleaned = clean_up(services)
    except ServiceError as error:
        report.note = f"What drills left over could not be looked for: {error}"
    _tell_if_in_vain(services.clock.now())
    _begin_due(services, report)
    return report


def _begin_due(services: Services, report: DrillsReport) -> None:
    """One drill at most a sweep, spread evenly over the day, only where automation may act."""
    now = services.clock.now()
    if why := _why_not(now):
        report.note = report.note or why
        return
    standing = read_standing(now)
    open_ones = Operation.objects.filter(state=OperationState.OPEN).values("town_id")
    candidates = (
        Town.objects.filter(
            not_held(now), status__in=(Status.RUNNING, Status.STOPPED), last_snapshot__gt=""
        )
        .exclude(pk__in=open_ones)
        .select_related("owner")
        .annotate(drilled_at=Max("drills__began_at"))
        .order_by(F("drilled_at").asc(nulls_first=True), "pk")
    )
    longest_ago = [town for town in candidates[:SAMPLE] if not standing.held_back(town, now)]
    if not longest_ago:
        return
    town = services.rng.choice(longest_ago)
    try:
        actions.request_drill(
            town.pk,
            actor=ACTOR,
            now=now,
            reason="its turn to be proved",
            data={"rule": "drilled longest ago", "snapshot": town.last_snapshot},
        )
    except actions.NotAllowed:  # somebody was faster
        return
    report.begun.append(str(town))


def _why_not(now: datetime) -> str:
    """Why no drill begins now; nothing if one may."""
    per_day = settings.GASTOWN_DRILLS_PER_DAY
    if per_day == 0:
        return "Drills are switched off (GASTOWN_DRILLS_PER_DAY)."
    if (frozen := automation.frozen(now)) is not None:
        return frozen
    if FLEET in automation.open_breakers():
        return "No drill begins while the breaker of the fleet is open."
    under_way = Q(kind=OperationKind.DRILL, state=OperationState.OPEN)
    if Operation.objects.filter(under_way).count() >= settings.GASTOWN_DRILLS_AT_ONCE:
        return "As many drills as may be are under way."
    recent = now - timedelta(seconds=DAY / per_day)
    if Drill.objects.filter(automatic=True, began_at__gt=recent).exists():
        return "The last drill began not long ago."
    return ""


def _tell_if_in_vain(now: datetime) -> None:
    """A validator that never concludes must not look like one that finds nothing wrong."""
    concluded = Drill.objects.exclude(result="").exclude(operation__state=OperationState.SUPERSEDED)
    last = list(concluded.order_by("-began_at").values_list("result", "reason")[:IN_A_ROW])
    in_vain = [reason for result, reason in last if result == Drill.Result.INCONCLUSIVE]
    if len(in_vain) == IN_A_ROW:
        alerts.open_alert(
            cause=INCONCLUSIVE,
            subject=FLEET,
            severity="warning",
            message=f"The last {IN_A_ROW} restore drills proved nothing, so that nobody knows "
            f"whether backups restore. The last one: {in_vain[0]}",
            now=now,
        )
    elif last and last[0][0] != Drill.Result.INCONCLUSIVE:
        alerts.resolve_alerts(
            subject=FLEET, causes=[INCONCLUSIVE], resolution="a drill had a result", now=now
        )
