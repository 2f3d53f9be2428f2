"""`manage.py setup_r2`: the bucket's rule that expires retained backups."""

from typing import Any

from django.conf import settings

from towns.management.base import OpsCommand
from towns.services import default_services


class Command(OpsCommand):
    help = "Make or mend our lifecycle rule in R2; other rules are left alone."

    def handle(self, *args: Any, **options: Any) -> None:
        days = settings.GASTOWN_RETENTION_DAYS
        changed = default_services().r2.ensure_lifecycle(days)
        bucket = settings.GASTOWN_R2_BUCKET
        line = f"{bucket}: retained backups expire {days} days after the destroy"
        self.tell(
            {"bucket": bucket, "days": days, "changed": changed},
            [f"{line} ({'set up' if changed else 'as it was'})."],
        )
