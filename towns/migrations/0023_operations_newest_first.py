"""The list of operations, the newest first, without sorting them all."""

from typing import Any

from django.db import migrations, models

INDEX = "operations_newest_first"


def make(apps: Any, schema_editor: Any) -> None:
    """Beside running workers on PostgreSQL; one that a broken run left half-made is made anew."""
    beside = ""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        beside = "CONCURRENTLY"
    schema_editor.execute(
        f"CREATE INDEX {beside} IF NOT EXISTS {INDEX} ON towns_operation "
        "(created_at DESC, id DESC)"
    )


def drop(apps: Any, schema_editor: Any) -> None:
    """The same way back."""
    beside = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP INDEX {beside} IF EXISTS {INDEX}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("towns", "0022_bulk_runs")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(make, drop)],
            state_operations=[
                migrations.AddIndex(
                    model_name="operation",
                    index=models.Index(
                        fields=["-created_at", "-id"], name="operations_newest_first"
                    ),
                )
            ],
        )
    ]
