"""What a replay needs: how a town was used when it was probed, and idle stops by their time.

The columns are empty in the rows there are, so PostgreSQL changes the catalogue alone.
"""

from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Q

INDEX = "idle_stops_by_time"
_WHERE = "actor = 'sweep:idle' AND kind = 'stop' AND state = 'succeeded'"


def make_index(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Beside running sweeps on PostgreSQL; one that a broken run left half-made is made anew."""
    beside = ""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        beside = "CONCURRENTLY"
    schema_editor.execute(
        f"CREATE INDEX {beside} IF NOT EXISTS {INDEX} ON towns_operation (finished_at, town_id) "
        f"WHERE {_WHERE}"
    )


def drop_index(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The same way back."""
    beside = "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP INDEX {beside} IF EXISTS {INDEX}")


class AddUnlessThere(migrations.AddField):
    """Bears being run again, since this migration is not one transaction."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Add the column, unless a run that broke off added it."""
        if not self._is_there(schema_editor):
            super().database_forwards(app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Remove the column, unless a run that broke off removed it."""
        if self._is_there(schema_editor):
            super().database_backwards(app_label, schema_editor, *states)

    def _is_there(self, schema_editor: Any) -> bool:
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            table = f"towns_{self.model_name_lower}"
            columns = connection.introspection.get_table_description(cursor, table)
        return self.name in {column.name for column in columns}


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("towns", "0008_drills")]
    operations = [
        AddUnlessThere(
            "healthcheck",
            "last_interaction_at",
            models.DateTimeField(
                null=True, help_text="The town's last interaction when it was probed."
            ),
        ),
        AddUnlessThere(
            "healthcheck",
            "connected",
            models.BooleanField(
                null=True,
                help_text="Whether an open WebSocket kept it awake. "
                "Empty: use was not recorded yet.",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunPython(make_index, drop_index, atomic=False),
            ],
            state_operations=[
                migrations.AddIndex(
                    "operation",
                    models.Index(
                        fields=["finished_at", "town"],
                        condition=Q(actor="sweep:idle", kind="stop", state="succeeded"),
                        name=INDEX,
                    ),
                )
            ],
        ),
    ]
