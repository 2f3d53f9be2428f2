"""The worst of the open alerts, without sorting them all."""

from django.db import migrations, models
from django.db.models import Q

from towns.migrations._again import index_beside_writers


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("towns", "0027_idempotent_etag")]
    operations = [
        index_beside_writers(
            "alert",
            models.Index(
                fields=["severity", "-id"],
                condition=Q(resolved_at__isnull=True),
                name="alerts_open_worst_first",
            ),
            "(severity, id DESC) WHERE resolved_at IS NULL",
        )
    ]
