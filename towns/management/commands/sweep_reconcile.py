"""`manage.py sweep_reconcile [TOWN …]`: compare what Fly has with what we know."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from towns.management.base import FAILED, OpsCommand
from towns.services import default_services
from towns.sweeps.comparison import told
from towns.sweeps.listing import count_living
from towns.sweeps.reconcile import ReconcileReport, sweep_reconcile
from towns.sweeps.repair_scene import Handled
from towns.sweeps.slots import slot_of

_DONE = {
    "restart": "is restarted",
    "error": "goes to error",
    "stop": "a machine is stopped",
    "adopt": "counts as running",
    "report": "is reported",
    "none": "nothing is done",
    "unsure": "nothing is certain",
}


class Command(OpsCommand):
    help = "Compare Fly with all towns once in this slot, or with the named ones now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("towns", nargs="*", metavar="TOWN", help="compare just these, now")
        parser.add_argument("--dry-run", action="store_true", help="compare, but change nothing")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        services = default_services()
        named = self.towns(options["towns"]) if options["towns"] else None
        slot = slot_of(services.clock.now(), settings.GASTOWN_RECONCILE_PERIOD_SECONDS)
        total = count_living() if named is None else len(named)
        with self.progress(total, "sweep_reconcile") as bar:
            report = sweep_reconcile(
                services,
                slot=slot if named is None else None,
                towns=named,
                dry_run=options["dry_run"],
                on_towns=bar.update,
            )
        self.tell(_document(report), _lines(report))
        if report.refused:
            self.stderr.write(report.refused)
            raise SystemExit(FAILED)
        if report.unknown:
            self.stderr.write(told(report.unknown))
            raise SystemExit(FAILED)
        if report.unhandled:
            self.stderr.write(f"{report.unhandled} drifts could not be looked at: it is unknown.")
            raise SystemExit(FAILED)


def _document(report: ReconcileReport) -> dict[str, Any]:
    now = timezone.now()
    return {
        "slot": report.slot.isoformat() if report.slot else None,
        "looked_at": report.looked_at,
        "drift": [one.as_json() for one in report.handled],
        "orphans": [one.as_json(now) for one in report.judged if one.is_orphan],
        "held": [one.as_json(now) for one in report.judged if not one.is_orphan],
        "destroyed": [one.as_json() for one in report.cleared],
        "refused": report.refused,
        "unknown_apps": report.unknown,
        "note": report.note,
    }


def _lines(report: ReconcileReport) -> Iterator[str]:
    for one in report.handled:
        yield f"{one.drift.town.label}: {one.drift.text} {_what(one)}"
    now = timezone.now()
    for judged in report.judged:
        facts = judged.as_json(now)
        size = f", {facts['size_gb']} GB" if facts["size_gb"] else ""
        what = f"{facts['kind']} {facts['id']} ({facts['region']}{size}, made {facts['made']})"
        if judged.is_orphan:
            yield f"orphan {what}: {judged.verdict.reason}"
        else:
            yield f"no orphan yet, {what}: {judged.verdict.reason}."
    for cleared in report.cleared:
        verb = "is destroyed" if cleared.asked else "is withheld"
        yield f"{cleared.orphan} {verb}: {cleared.why}"
    orphans = sum(one.is_orphan for one in report.judged)
    counts = f"{len(report.handled)} drifts, {orphans} orphans."
    yield f"{report.looked_at} towns compared, {counts} {report.note}".rstrip()


def _what(one: Handled) -> str:
    return f"{_DONE[one.action].capitalize()}: {one.why}"
