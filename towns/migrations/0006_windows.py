"""Holds and maintenance windows that expire, and episodes that flap."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("towns", "0005_fly_budget")]
    operations = [
        migrations.CreateModel(
            name="MaintenanceWindow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "scope",
                    models.CharField(
                        help_text="fleet, region:ams, image:registry/town:1, or town: and its id.",
                        max_length=290,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("reason", models.TextField()),
                ("actor", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField()),
                (
                    "ended_at",
                    models.DateTimeField(
                        help_text="When somebody ended it before its time.", null=True
                    ),
                ),
                ("ended_by", models.CharField(blank=True, max_length=150)),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(until__gt=models.F("since")),
                        name="window_ends_after_it_begins",
                    )
                ],
                "indexes": [
                    models.Index(
                        fields=["until"],
                        condition=Q(ended_at__isnull=True),
                        name="windows_not_ended",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="town",
            name="hold_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="town",
            name="flapping_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="town",
            name="episode_ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="town",
            name="flap_count",
            field=models.PositiveIntegerField(
                default=0, help_text="Episodes in close succession."
            ),
        ),
        migrations.AddIndex(
            model_name="town",
            index=models.Index(
                fields=["episode_since", "id"],
                condition=Q(episode_since__isnull=False),
                name="towns_that_fail",
            ),
        ),
    ]
