"""`manage.py sweep_idle [TOWN …]`: stop who has no work and no visitor."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from towns.management.base import OpsCommand
from towns.readable import utc
from towns.services import default_services
from towns.sweeps.idle import IdleDecision, count_running, sweep_idle
from towns.sweeps.slots import slot_of


class Command(OpsCommand):
    help = "Stop the idle towns of the fleet once in this slot, or look at the named ones now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("towns", nargs="*", metavar="TOWN", help="look at just these, now")
        parser.add_argument("--dry-run", action="store_true", help="say who would be stopped")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        services = default_services()
        named = self.towns(options["towns"]) if options["towns"] else None
        slot = slot_of(services.clock.now(), settings.GASTOWN_IDLE_PERIOD_SECONDS)
        total = count_running(services.clock.now()) if named is None else len(named)
        with self.progress(total, "sweep_idle") as bar:
            report = sweep_idle(
                services,
                slot=slot if named is None else None,
                towns=named,
                dry_run=options["dry_run"],
                on_town=bar.update,
            )
        document = {
            "slot": report.slot.isoformat() if report.slot else None,
            "looked_at": report.looked_at,
            "stopped": report.stopped,
            "towns": [one.as_json() for one in report.decisions],
            "note": report.note,
        }
        verb = "would be stopped" if options["dry_run"] else "stops"
        lines = [_line(one, verb) for one in report.decisions]
        lines.append(f"{report.looked_at} towns looked at, {report.stopped} {verb}. {report.note}")
        self.tell(document, [line.rstrip() for line in lines])


def _line(one: IdleDecision, verb: str) -> str:
    if one.stops:
        return f"{one.town} {verb}: {one.why}"
    if one.why:
        return f"{one.town} is idle, but: {one.why}"
    until = f", until {utc(one.stop_at)} if nobody comes" if one.stop_at else ""
    return f"{one.town} stays awake: {', '.join(one.held).replace('_', ' ')}{until}"
