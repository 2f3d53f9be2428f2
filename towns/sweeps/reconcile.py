"""The reconciliation sweep (product.md 1.7): Fly's two lists of each app against all rows.

It repairs what is safe and reports the rest. What many rows miss at once is not believed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from towns import automation
from towns.apps_in_use import apps_in_use, record_apps
from towns.drift import Lists
from towns.models import Sweep, Town
from towns.services import Services
from towns.services.errors import ServiceError
from towns.sweeps import dead_man
from towns.sweeps.clearing import Cleared, clear_orphans
from towns.sweeps.comparison import Comparison, Doubter, Part, told
from towns.sweeps.comparison_alerts import tell_apps, tell_blind, tell_doubt
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
from towns.sweeps.repair_scene import Handled, Scene, by_kind
from towns.sweeps.repair_stopped import should_sleep, stop_twins
from towns.sweeps.second_look import SecondLook
from towns.sweeps.slots import about_sweep, finish_sweep, open_sweep

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
    unknown: dict[str, str] = field(default_factory=dict)
    """The apps of whose towns nothing is known, and why; the others' are compared."""
    blind_apps: list[str] = field(default_factory=list)
    """Those that gave no lists."""
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
            "blind_apps": self.blind_apps,
            "note": self.refused or " ".join(filter(None, (told(self.unknown), self.note))),
        }


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
    holds is left alone. An app that gives no lists, or that isn't believed, makes its own towns
    unknown and no others.
    """
    only = None if towns is None else [town.pk for town in towns]
    in_use = apps_in_use(only)
    try:
        listed = list_fly(services, in_use.apps)
    except ServiceError as error:
        found.refused = f"Fly gave no list, so nothing is known: {error}"
        if not dry_run:
            tell_blind(error, services.clock.now())
        return False
    if in_use.unrecorded and not dry_run:
        record_apps(listed.lists)
    comparison = _compare(listed.lists, only, on_towns)
    found.looked_at = sum(len(part.towns) for part in comparison.parts.values())
    found.blind_apps = sorted(listed.failed)
    standing = read_standing()
    doubter = Doubter(standing, services, named=only is not None)
    doubted = doubter.of_apps(comparison, listed.lists)
    found.unknown = {app: str(error) for app, error in listed.failed.items()} | doubted
    lists, comparison = listed.lists.without(doubted), comparison.without(doubted)
    found.refused = told(doubted) if not lists.apps else doubter.of_all(comparison, lists)
    if not dry_run:
        now = services.clock.now()
        tell_doubt(found.refused, now, whole=only is None)
        if only is None:
            tell_apps(listed.failed, doubted, now)
    if found.refused:
        return True
    _act(services, lists, comparison, standing, only, dry_run, found)
    return True


def _act(
    services: Services,
    lists: Lists,
    comparison: Comparison,
    standing: Standing,
    only: Sequence[UUID] | None,
    dry_run: bool,
    found: ReconcileReport,
) -> None:
    """Repair and report, by what is believed."""
    frozen = automation.frozen(services.clock.now())
    scene = Scene(services, SecondLook(services), frozen, dry_run)
    found.note = frozen or ""
    part = comparison.whole()
    found.handled = _handle(part, standing, scene)
    found.judged = judge_things(lists, comparison.recorded, None if only is None else set(only))
    if not dry_run:
        now = services.clock.now()
        update_alerts(found.handled, standing, scene, compared=part.towns, now=now)
        keep_list(found.judged, lists, comparison.recorded, scene, only=only)
        settle_old_volumes(lists, scene)
    found.cleared = clear_orphans(found.judged, scene)
    if not dry_run:
        tell_staff(services.clock.now())


def _compare(lists: Lists, only: Sequence[UUID] | None, on_towns: Progress) -> Comparison:
    result = Comparison()
    for rows in living_rows(only):
        for row in rows:
            result.add(row, lists)
        on_towns(len(rows))
    return result


def _handle(part: Part, standing: Standing, scene: Scene) -> list[Handled]:
    kinds = by_kind(part.drifts)
    return [
        *stop_twins(kinds["twins"], scene),
        *should_run(kinds["should_run"], scene, part.awake),
        *should_sleep(kinds["should_sleep"], scene),
        *report(kinds["report"], standing, scene),
    ]
