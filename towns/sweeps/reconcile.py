"""The reconciliation sweep (product.md 1.7): Fly's two lists against all rows.

It repairs what is safe and reports the rest. What many rows miss at once is not believed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any
from uuid import UUID

from django.conf import settings

from towns import alerts, automation
from towns.automation import FLEET
from towns.drift import Drift, DriftKind, Lists, TownRow, compare, doubt
from towns.models import Sweep, Town
from towns.rules import health_rules
from towns.services import Services
from towns.services.errors import Rejected, ServiceError
from towns.sweeps import dead_man
from towns.sweeps.clearing import Cleared, clear_orphans
from towns.sweeps.drift_alerts import Standing, read_standing, report, update_alerts
from towns.sweeps.listing import list_fly, living_rows
from towns.sweeps.orphans import (
    Judged,
    judge_things,
    keep_list,
    settle_old_volumes,
    tell_staff,
)
from towns.sweeps.repair_running import should_run
from towns.sweeps.repair_scene import Handled, Scene, by_kind, scopes_awake
from towns.sweeps.repair_stopped import should_sleep, stop_twins
from towns.sweeps.second_look import SecondLook
from towns.sweeps.slots import about_sweep, finish_sweep, open_sweep

BLIND, DOUBT = "reconcile_blind", "reconcile_doubt"
BLIND_LIMIT = 3
"""So many sweeps in a row that get no list from Fly raise an alert."""
Progress = Callable[[int], object]


@dataclass(slots=True)
class ReconcileReport:
    """What a sweep saw and did. `refused` says why nothing of Fly's lists was believed."""

    slot: datetime | None = None
    looked_at: int = 0
    handled: list[Handled] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    cleared: list[Cleared] = field(default_factory=list)
    refused: str = ""
    note: str = ""

    @property
    def unhandled(self) -> int:
        """Drifts of which nothing certain could be learned."""
        return sum(one.action == "unsure" for one in self.handled)

    def summary(self) -> dict[str, Any]:
        """For the sweep's row."""
        return {
            "drift": dict(Counter(one.drift.kind.value for one in self.handled)),
            "actions": dict(Counter(one.action for one in self.handled)),
            "orphans": sum(one.is_orphan for one in self.judged),
            "destroyed": sum(one.asked for one in self.cleared),
            "note": self.refused or self.note,
        }


@dataclass(slots=True)
class _Comparison:
    """What came of comparing all rows with the lists."""

    drifts: list[Drift] = field(default_factory=list)
    recorded: set[str] = field(default_factory=set)
    """The machines and volumes that rows name."""
    compared: set[UUID] = field(default_factory=set)
    awake: Counter[str] = field(default_factory=Counter)
    machines: int = 0
    volumes: int = 0


def sweep_reconcile(
    services: Services,
    *,
    slot: datetime | None = None,
    towns: Sequence[Town] | None = None,
    dry_run: bool = False,
    on_towns: Progress = lambda _count: None,
) -> ReconcileReport:
    """Reconcile the whole fleet once in a `slot`, or just the named `towns` now.

    `on_towns` hears of how many more towns were compared.
    """
    with about_sweep(Sweep.Kind.RECONCILE, slot):
        return _sweep_reconcile(services, slot, towns, dry_run, on_towns)


def _sweep_reconcile(
    services: Services,
    slot: datetime | None,
    towns: Sequence[Town] | None,
    dry_run: bool,
    on_towns: Progress,
) -> ReconcileReport:
    report = ReconcileReport(slot)
    sweep = None
    if slot is not None and not dry_run:
        period, now = settings.GASTOWN_RECONCILE_PERIOD_SECONDS, services.clock.now()
        sweep = open_sweep(Sweep.Kind.RECONCILE, slot, period_seconds=period, now=now)
        if sweep is None:
            report.note = "This slot was swept already, or is being swept."
            return report
    blind = False
    if towns is None or towns:
        blind = not _reconcile(services, towns, dry_run, on_towns, report)
    if sweep is not None:
        summary = {**report.summary(), "blind": blind}
        if finish_sweep(sweep, services.clock.now(), towns=report.looked_at, summary=summary):
            dead_man.after_sweep(sweep.kind, summary)
    return report


def _reconcile(
    services: Services,
    towns: Sequence[Town] | None,
    dry_run: bool,
    on_towns: Progress,
    found: ReconcileReport,
) -> bool:
    """List, compare, doubt, repair, report, in this order. False when Fly gave no lists.

    The rows are read after the lists: what an operation made in between is in the rows, and what it
    holds is left alone.
    """
    try:
        lists = list_fly(services)
    except ServiceError as error:
        found.refused = f"Fly gave no list, so nothing is known: {error}"
        if not dry_run:
            _tell_blind(error, services.clock.now())
        return False
    only = None if towns is None else [town.pk for town in towns]
    comparison = _compare(lists, only, on_towns)
    found.looked_at = len(comparison.compared)
    standing = read_standing()
    found.refused = _doubts(comparison, lists, standing, services, named=only is not None)
    if not dry_run:
        _tell_doubt(found.refused, services.clock.now(), whole=only is None)
    if found.refused:
        return True
    frozen = automation.frozen(services.clock.now())
    scene = Scene(services, SecondLook(services), frozen, dry_run)
    found.note = frozen or ""
    found.handled = _handle(comparison, standing, scene)
    found.judged = judge_things(lists, comparison.recorded, None if only is None else set(only))
    if not dry_run:
        now = services.clock.now()
        update_alerts(found.handled, standing, scene, compared=comparison.compared, now=now)
        keep_list(found.judged, lists, comparison.recorded, scene, only=only)
        settle_old_volumes(lists, scene)
    found.cleared = clear_orphans(found.judged, scene)
    if not dry_run:
        tell_staff(services.clock.now())
    return True


def _compare(lists: Lists, only: Sequence[UUID] | None, on_towns: Progress) -> _Comparison:
    result = _Comparison()
    for rows in living_rows(only):
        for row in rows:
            _add(result, row, lists)
        on_towns(len(rows))
    return result


def _add(result: _Comparison, row: TownRow, lists: Lists) -> None:
    result.recorded.update(filter(None, (row.machine_id, row.volume_id)))
    if not row.rests(lists.at):
        return
    result.compared.add(row.id)
    result.machines += bool(row.machine_id)
    result.volumes += bool(row.volume_id)
    result.awake.update(scopes_awake(row))
    result.drifts += compare(row, lists)


def _doubts(
    comparison: _Comparison, lists: Lists, standing: Standing, services: Services, *, named: bool
) -> str:
    """Why the lists are not believed; nothing when they are. What was proved gone by an earlier
    sweep doesn't count as missing again.

    Of towns that staff have `named` many may be gone: each is still proved by its own 404.
    """
    news = [one for one in comparison.drifts if one.missing and not standing.knows(one)]
    machines = sum(one.kind == DriftKind.GONE for one in news)
    limit: float = inf if named else settings.GASTOWN_RECOVERY_LIMIT
    share = inf if named else health_rules().breaker_share
    why = doubt(
        "machine",
        expected=comparison.machines,
        missing=machines,
        listed=len(lists.machines),
        limit=limit,
        share=share,
    ) or doubt(
        "volume",
        expected=comparison.volumes,
        missing=len(news) - machines,
        listed=len(lists.volumes),
        limit=limit,
        share=share,
    )
    if not why:
        return ""
    try:
        services.fly.get_app()
    except ServiceError as error:
        return f"{why} {error}"
    return f"{why} The app itself answers."


def _handle(comparison: _Comparison, standing: Standing, scene: Scene) -> list[Handled]:
    kinds = by_kind(comparison.drifts)
    return [
        *stop_twins(kinds["twins"], scene),
        *should_run(kinds["should_run"], scene, comparison.awake),
        *should_sleep(kinds["should_sleep"], scene),
        *report(kinds["report"], standing, scene),
    ]


def _tell_blind(error: ServiceError, now: datetime) -> None:
    """A refusal is told at once: it is our token or app. Silence is told when it lasts."""
    earlier = Sweep.objects.filter(kind=Sweep.Kind.RECONCILE, finished_at__isnull=False)
    last = list(earlier.values_list("summary", flat=True)[: BLIND_LIMIT - 1])
    lasts = len(last) == BLIND_LIMIT - 1 and all(one.get("blind") for one in last)
    refused = isinstance(error, Rejected)
    if refused or lasts:
        alerts.open_alert(
            cause=BLIND,
            subject=FLEET,
            severity="critical" if refused else "warning",
            message="Fly's machines and volumes can't be compared with our rows: nothing is known, "
            f"and nothing is done. {error}",
            now=now,
        )


def _tell_doubt(why: str, now: datetime, *, whole: bool) -> None:
    """Only a look at the whole fleet closes the alert."""
    alerts.resolve_alerts(
        subject=FLEET, causes=[BLIND], resolution="Fly gave its lists again", now=now
    )
    if why:
        alerts.open_alert(
            cause=DOUBT,
            subject=FLEET,
            severity="critical",
            message=f"{why} None of it is believed, and nothing is done by reconciliation until "
            "they are listed again: check GASTOWN_FLY_APP_NAME, the token, and Fly's status. If "
            "they are lost indeed, name their towns: `manage.py sweep_reconcile TOWN …` asks Fly "
            "for each by itself.",
            now=now,
        )
    elif whole:
        alerts.resolve_alerts(
            subject=FLEET, causes=[DOUBT], resolution="Fly lists them again", now=now
        )
