"""What a replay needs: how a town was used when it was probed, and idle stops by their time.

The columns are empty in the rows there are, so PostgreSQL changes the catalogue alone.
"""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

from towns.migrations._again import AddUnlessThere, CreateUnlessThere, index_beside_writers

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
        index_beside_writers(
            "operation",
            models.Index(
                fields=["finished_at", "town"],
                condition=Q(actor="sweep:idle", kind="stop", state="succeeded"),
                name="idle_stops_by_time",
            ),
            "(finished_at, town_id) "
            "WHERE actor = 'sweep:idle' AND kind = 'stop' AND state = 'succeeded'",
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
