"""`manage.py prune_history`: removes what is older than it is kept for."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from towns.management.base import OpsCommand
from towns.models import HealthCheck, IdempotentRequest, Sweep

BATCH = 5000
REQUESTS_DAYS = 2


class Command(OpsCommand):
    help = "Remove old health checks, sweeps and answered requests. Lifecycle events stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say how many, remove none")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        old = now - timedelta(days=settings.GASTOWN_KEEP_CHECKS_DAYS)
        asked = now - timedelta(days=REQUESTS_DAYS)
        due: dict[str, QuerySet[Any]] = {
            "health_checks": HealthCheck.objects.filter(checked_at__lt=old).order_by("checked_at"),
            "sweeps": Sweep.objects.filter(finished_at__lt=old).order_by("finished_at"),
            "requests": IdempotentRequest.objects.filter(created_at__lt=asked).order_by(
                "created_at"
            ),
        }
        counts = {
            name: rows.count() if options["dry_run"] else _remove(rows)
            for name, rows in due.items()
        }
        verb = "would be removed" if options["dry_run"] else "removed"
        self.tell(
            {**counts, "dry_run": options["dry_run"]},
            [f"{count} {name.replace('_', ' ')} {verb}." for name, count in counts.items()],
        )


def _remove(rows: QuerySet[Any]) -> int:
    """In batches, so that no lock is held for long. The rows come by their time, which is indexed:
    by their key the last batch would be looked for among all that stay."""
    removed = 0
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=ids).delete()
        removed += len(ids)
        if len(ids) < BATCH:
            break
    return removed
