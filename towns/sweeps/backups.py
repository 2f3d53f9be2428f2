"""The sweep of backups (product.md 1.7): is each town's newest snapshot in R2, whole and fresh?

Constant work: so many towns a sweep, those that were looked at longest ago first, and before them
those that may be in trouble. R2 that can't be asked proves nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet

from towns import actions, alerts, automation
from towns.automation import FLEET
from towns.backup_policy import judge_backups
from towns.facts import backup_facts
from towns.history import Actor
from towns.models import Alert, Backup, Operation, Sweep, Town
from towns.presenting import iso
from towns.rules import stale_after
from towns.services import Services
from towns.services.r2 import Survey, live_prefix
from towns.standing import read_standing
from towns.sweeps import dead_man
from towns.sweeps.backup_store import CAUSES, Finding, store
from towns.sweeps.drills import DrillsReport, see_to_drills
from towns.sweeps.slots import about_sweep, finish_sweep, open_sweep
from towns.words import OperationKind, Status

ACTOR = Actor.automation("sweep:backups")
RESTING = (Status.RUNNING, Status.UNHEALTHY, Status.STOPPED, Status.ERROR)
ASKED_AT_ONCE = 20
"""Towns that one sweep asks for a backup."""
UNREACHABLE = "r2_unreachable"


@dataclass(slots=True)
class BackupsReport:
    """What the sweep did; findings are kept where they are few, or tell of trouble."""

    slot: datetime | None = None
    results: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    drills: DrillsReport | None = None
    note: str = ""

    @property
    def unhandled(self) -> int:
        """Towns of which nothing could be learned."""
        return self.results["unknown"]

    @property
    def blind(self) -> bool:
        """Whether nothing is known of any town that was looked at."""
        return 0 < self.unhandled == self.results.total()

    def summary(self) -> dict[str, Any]:
        """For the row of the sweep."""
        told: dict[str, Any] = {**self.results, "asked": len(self.asked), "blind": self.blind}
        return told | (self.drills.as_json() if self.drills else {})


def sweep_backups(
    services: Services,
    *,
    slot: datetime | None = None,
    towns: Sequence[Town] | None = None,
    dry_run: bool = False,
    on_towns: Callable[[int], object] = lambda _count: None,
) -> BackupsReport:
    """Look at the backups that are due, once in a `slot`, or at those of the named `towns` now.

    `on_towns` hears of how many were looked at.
    """
    with about_sweep(Sweep.Kind.BACKUPS, slot):
        return _sweep_backups(services, slot, towns, dry_run, on_towns)


def _sweep_backups(
    services: Services,
    slot: datetime | None,
    towns: Sequence[Town] | None,
    dry_run: bool,
    on_towns: Callable[[int], object],
) -> BackupsReport:
    now = services.clock.now()
    report = BackupsReport(slot)
    sweep = None
    if slot is not None and not dry_run:
        period = settings.GASTOWN_BACKUPS_PERIOD_SECONDS
        sweep = open_sweep(Sweep.Kind.BACKUPS, slot, period_seconds=period, now=now)
        if sweep is None:
            report.note = "This slot was swept already, or is being swept."
            return report
    due = due_towns(now) if towns is None else list(_resting().filter(pk__in=[t.pk for t in towns]))
    findings = _look(due, services, report)
    on_towns(len(due))
    if not dry_run:
        findings = store(findings, services.clock.now())
        _tell_of_r2(report, len(findings), now)
        _ask_for_backups(findings, report, services.clock.now())
    report.results.update(finding.result for finding in findings)
    if towns is not None:
        report.results["skipped"] += len(towns) - len(due)
    report.findings = [
        one for one in findings if towns is not None or dry_run or one.result != "ok"
    ]
    if towns is None and not dry_run:
        report.drills = see_to_drills(services)
    if sweep is not None:
        looked_at = sum(report.results.values())
        summary = report.summary()
        if finish_sweep(sweep, services.clock.now(), towns=looked_at, summary=summary):
            dead_man.after_sweep(sweep.kind, summary)
    return report


def due_towns(now: datetime) -> list[Town]:
    """Whom this sweep looks at: half of its room for those in doubt, the rest for the others."""
    limit = settings.GASTOWN_BACKUPS_PER_SWEEP
    stale = now - stale_after()
    alerted = Alert.objects.filter(cause__in=CAUSES, resolved_at=None).values("town_id")
    late = Q(status=Status.RUNNING, awake_since__lt=stale) & (
        Q(last_backup_at__lt=stale) | Q(last_backup_at=None)
    )
    found = _resting().order_by(F("backups_checked_at").asc(nulls_first=True), "pk")
    urgent = list(found.filter(Q(pk__in=alerted) | late)[: max(1, limit // 2)])
    others = found.exclude(pk__in=[town.pk for town in urgent])
    return urgent + list(others[: max(0, limit - len(urgent))])


def _resting() -> QuerySet[Town]:
    """Towns that rest and have ever run, with no operation that owns them under way."""
    return (
        Town.objects.filter(status__in=RESTING, first_ran_at__isnull=False)
        .exclude(pk__in=Operation.owning().values("town_id"))
        .select_related("owner")
    )


def _look(towns: Sequence[Town], services: Services, report: BackupsReport) -> list[Finding]:
    """Ask R2, outside of any transaction, and judge what it shows."""
    verified: dict[object, set[str]] = {}
    known = Backup.objects.filter(
        town__in=[town.pk for town in towns],
        kind=Backup.Kind.LIVE,
        verified_at__isnull=False,
        gone_at=None,
        held=False,
    )
    for town_id, snapshot in known.order_by().values_list("town_id", "snapshot"):
        verified.setdefault(town_id, set()).add(snapshot)
    surveys = services.r2.survey_many(
        [live_prefix(str(town.pk)) for town in towns],
        concurrency=settings.GASTOWN_BACKUPS_CONCURRENCY,
    )
    now = services.clock.now()
    found = []
    for town, survey in zip(towns, surveys, strict=True):
        if not isinstance(survey, Survey):
            report.results["unknown"] += 1
            report.unknown.append(f"{town}: {survey}")
            continue
        facts = backup_facts(town, verified.get(town.pk, ()))
        judgement = judge_backups(facts, survey, now, stale_after())
        found.append(Finding(town, survey, judgement))
    return found


def _tell_of_r2(report: BackupsReport, known: int, now: datetime) -> None:
    """R2 that answers about nobody is one piece of news, and no town's."""
    if known:
        alerts.resolve_alerts(
            subject=FLEET, causes=[UNREACHABLE], resolution="R2 answers again", now=now
        )
    elif report.unknown:
        alerts.open_alert(
            cause=UNREACHABLE,
            subject=FLEET,
            severity="critical",
            message=f"No backup could be looked at: {report.unknown[0]} Nothing is known of any "
            "town's backups until R2 answers us; check R2's status and our keys.",
            now=now,
            data={"towns": report.unhandled},
        )


def _ask_for_backups(findings: Sequence[Finding], report: BackupsReport, now: datetime) -> None:
    """Ask running towns without a good backup for one: seldom, and only where automation may."""
    needy = [
        one.town
        for one in findings
        if one.town.status == Status.RUNNING and (one.judgement.stale or one.judgement.broken)
    ]
    if not needy or automation.frozen(now) is not None:
        return
    since = now - timedelta(minutes=settings.GASTOWN_BACKUP_RETRY_MINUTES)
    asked = set(
        Operation.objects.filter(
            town__in=[town.pk for town in needy], kind=OperationKind.BACKUP, created_at__gt=since
        ).values_list("town_id", flat=True)
    )
    standing = read_standing(now)
    for town in needy:
        if len(report.asked) >= ASKED_AT_ONCE:
            return
        if town.pk in asked or standing.held_back(town, now):
            continue
        try:
            actions.request_backup(
                town.pk,
                actor=ACTOR,
                now=now,
                reason="it has no good snapshot that is fresh",
                data={"rule": "no fresh snapshot", "last_backup_at": iso(town.last_backup_at)},
            )
        except actions.NotAllowed:  # somebody was faster
            continue
        report.asked.append(str(town))
