"""`manage.py prune_history`: removes what is older than it is kept for."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from towns.management.base import FAILED, OpsCommand
from towns.services import default_services
from towns.upkeep.prune import Pruned, prune


class Command(OpsCommand):
    help = (
        "Make partitions ahead and hourly figures, then remove old health checks, figures, sweeps, "
        "answered requests, resolved alerts, failed tasks, sessions, replays, the rows of backups "
        "that are gone, and retained backups whose time is over. Lifecycle events stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say how many, change nothing")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run: bool = options["dry_run"]
        done = prune(timezone.now(), r2=default_services().r2, dry_run=dry_run)
        facts = asdict(done)
        facts.pop("unfinished")
        self.tell({**facts.pop("removed"), **facts, "dry_run": dry_run}, _lines(done, dry_run))
        if done.left:
            text = "\n".join(done.left)
            raise CommandError(f"{text}\nThe next run tries again.", returncode=FAILED)


def _lines(done: Pruned, dry_run: bool) -> list[str]:
    verb = "would be removed" if dry_run else "removed"
    lines = [f"{count} {name.replace('_', ' ')} {verb}." for name, count in done.removed.items()]
    if done.partitions_dropped:
        lines.append(f"{done.partitions_dropped} partitions {verb.replace('removed', 'dropped')}.")
    if done.partitions_made:
        lines.append(f"{done.partitions_made} partitions made.")
    if done.hours_made:
        lines.append(f"Figures of {done.hours_made} hours made.")
    return lines
