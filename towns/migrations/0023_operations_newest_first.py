"""The list of operations, the newest first, without sorting them all."""

from django.db import migrations, models

from towns.migrations._again import index_beside_writers


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("towns", "0022_bulk_runs")]
    operations = [
        index_beside_writers(
            "operation",
            models.Index(fields=["-created_at", "-id"], name="operations_newest_first"),
            "(created_at DESC, id DESC)",
        )
    ]
