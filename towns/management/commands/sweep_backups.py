"""`manage.py sweep_backups [TOWN …]`: see in R2 whether backups are there, whole and fresh."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from towns.management.base import FAILED, OpsCommand
from towns.services import default_services
from towns.sweeps.backups import BackupsReport, due_towns, sweep_backups
from towns.sweeps.slots import slot_of


class Command(OpsCommand):
    help = "Verify the backups that are due once in this slot, or those of the named towns now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("towns", nargs="*", metavar="TOWN", help="look at just these, now")
        parser.add_argument("--dry-run", action="store_true", help="look, but change nothing")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        services = default_services()
        named = self.towns(options["towns"]) if options["towns"] else None
        now = services.clock.now()
        slot = slot_of(now, settings.GASTOWN_BACKUPS_PERIOD_SECONDS)
        total = len(due_towns(now)) if named is None else len(named)
        with self.progress(total, "sweep_backups") as bar:
            report = sweep_backups(
                services,
                slot=slot if named is None else None,
                towns=named,
                dry_run=options["dry_run"],
                on_towns=bar.update,
            )
        self.tell(_document(report), _lines(report))
        for line in [*report.unknown, *_about_drills(report)]:
            self.stderr.write(line)
        if report.unhandled:
            self.stderr.write(f"{report.unhandled} towns could not be looked at: it is unknown.")
            raise SystemExit(FAILED)


def _document(report: BackupsReport) -> dict[str, Any]:
    drills = report.drills
    return {
        "slot": report.slot.isoformat() if report.slot else None,
        "results": dict(report.results),
        "towns": [one.as_json() for one in report.findings],
        "unknown": report.unknown,
        "asked": report.asked,
        "drills": drills.as_json() if drills else None,
        "note": report.note,
    }


def _lines(report: BackupsReport) -> list[str]:
    lines = [one.why or f"{one.town}: {_good(one.as_json())}" for one in report.findings]
    lines += [f"{town} is asked for a backup." for town in report.asked]
    if report.drills is not None:
        lines += [f"{town} is drilled." for town in report.drills.begun]
    counts = ", ".join(f"{count} {name}" for name, count in sorted(report.results.items()) if count)
    return [*lines, report.note or counts or "No town has backups to look at."]


def _about_drills(report: BackupsReport) -> list[str]:
    """Why no drill began, and what drills left over and could not be removed."""
    drills = report.drills
    return [] if drills is None else [*filter(None, [drills.note]), *drills.problems]


def _good(facts: dict[str, Any]) -> str:
    if facts["snapshot"] is None:
        return "it has no backup yet."
    return f"snapshot {facts['snapshot']} is whole, {facts['age_seconds']} s old."
