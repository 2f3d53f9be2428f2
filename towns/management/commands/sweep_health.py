"""`manage.py sweep_health [TOWN …]`: ask the fleet, or just these towns, how they are."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from towns.management.base import FAILED, OpsCommand
from towns.models import Town
from towns.services import default_services
from towns.sweeps import health
from towns.sweeps.slots import slot_of
from towns.words import ACTIVE


class Command(OpsCommand):
    help = "Probe all active towns once in this slot, or the named ones at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("towns", nargs="*", metavar="TOWN", help="probe just these, at once")
        parser.add_argument("--dry-run", action="store_true", help="probe, but change nothing")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        services = default_services()
        named = self.towns(options["towns"]) if options["towns"] else None
        if options["dry_run"]:
            total = Town.objects.filter(status__in=ACTIVE).count() if named is None else len(named)
            with self.progress(total, "sweep_health") as bar:
                report = health.look_only(services, named, on_towns=bar.update)
        elif named is not None:
            report = health.sweep_named(named, services)
        else:
            slot = slot_of(services.clock.now(), settings.GASTOWN_HEALTH_PERIOD_SECONDS)
            total = Town.objects.filter(status__in=ACTIVE).count()
            with self.progress(total, "sweep_health") as bar:
                report = health.sweep_fleet(slot, services, on_towns=bar.update)
        self.tell(_document(report), _lines(report))
        if report.unhandled:
            self.stderr.write(f"{report.unhandled} towns could not be asked: it is unknown.")
            raise SystemExit(FAILED)


def _document(report: health.SweepReport) -> dict[str, Any]:
    return {
        "slot": report.slot.isoformat() if report.slot else None,
        "results": report.results,
        "towns": [health.facts_of(one) for one in report.observations],
        "decisions": [
            {"town": one.town, "action": one.action, "why": one.why} for one in report.decisions
        ],
        "note": report.note,
    }


def _lines(report: health.SweepReport) -> list[str]:
    lines = [
        f"{one.town}: {one.judgement.result.value} {one.judgement.reason}".rstrip()
        for one in report.observations
    ]
    words = {"restart": "is restarted", "error": "goes to error", "none": "is not restarted"}
    lines += [f"{one.town} {words[one.action]}: {one.why}" for one in report.decisions]
    counts = ", ".join(f"{count} {name}" for name, count in sorted(report.results.items()) if count)
    lines.append(report.note or counts or "No town is awake: nobody was asked.")
    return lines
