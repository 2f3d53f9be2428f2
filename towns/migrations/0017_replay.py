"""What a replay needs: how a town was used when it was probed, and idle stops by their time.

The columns are empty in the rows there are, so PostgreSQL changes the catalogue alone.
"""

import uuid
from typing import Any

import django.db.models.deletion
from django.conf import settings
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


class CreateUnlessThere(migrations.CreateModel):
    """Bears being run again, too."""

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Make the table, unless a run that broke off made it."""
        if not self._is_there(schema_editor):
            super().database_forwards(app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Remove the table, unless a run that broke off removed it."""
        if self._is_there(schema_editor):
            super().database_backwards(app_label, schema_editor, *states)

    def _is_there(self, schema_editor: Any) -> bool:
        tables = schema_editor.connection.introspection.table_names()
        return f"towns_{self.name_lower}" in tables


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("towns", "0008_drills"),
    ]
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
        CreateUnlessThere(
            name="ReplayRun",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("changes", models.JSONField(default=list, help_text="NAME=VALUE, each.")),
                ("days", models.PositiveIntegerField()),
                (
                    "towns",
                    models.JSONField(default=list, help_text="Ids of the towns; empty: all."),
                ),
                (
                    "region",
                    models.CharField(blank=True, help_text="Only towns of it.", max_length=16),
                ),
                (
                    "sample",
                    models.PositiveIntegerField(help_text="At most so many towns.", null=True),
                ),
                ("actor", models.CharField(max_length=150)),
                (
                    "created_at",
                    models.DateTimeField(help_text="The days before it are replayed."),
                ),
                (
                    "went_on_at",
                    models.DateTimeField(help_text="When a worker last went on with it."),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "total",
                    models.PositiveIntegerField(
                        help_text="About how many towns there are to replay."
                    ),
                ),
                ("done", models.PositiveIntegerField(default=0)),
                ("after", models.UUIDField(help_text="The last town that is done.", null=True)),
                ("counted", models.JSONField(default=dict)),
                (
                    "result",
                    models.TextField(blank=True, help_text="In one sentence; or why it failed."),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "replay",
                "ordering": ["-created_at", "-id"],
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="replays_newest_first")
                ],
            },
        ),
    ]
