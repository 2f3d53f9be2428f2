"""What reconciliation found at Fly."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("towns", "0006_windows")]

    operations = [
        migrations.AlterField(
            model_name="sweep",
            name="kind",
            field=models.CharField(
                choices=[
                    ("health", "Health"),
                    ("idle", "Idle"),
                    ("reconcile", "Reconcile"),
                    ("backups", "Backups"),
                ],
                max_length=12,
            ),
        ),
        migrations.CreateModel(
            name="Orphan",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "fly_id",
                    models.CharField(max_length=40, unique=True, verbose_name="id at Fly"),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("machine", "machine"), ("volume", "volume")], max_length=8
                    ),
                ),
                (
                    "cause",
                    models.CharField(
                        choices=[
                            ("no_town", "of no town that we know"),
                            ("destroyed_town", "of a destroyed town"),
                            ("old_volume", "an old volume of a town"),
                            ("old_machine", "another machine of a town"),
                            ("drill", "left over from a drill"),
                            ("foreign", "not ours"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("reported", "Reported"),
                            ("confirmed", "Confirmed"),
                            ("cleared", "no orphan after all"),
                            ("gone", "Gone"),
                        ],
                        default="reported",
                        max_length=10,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=80)),
                ("region", models.CharField(blank=True, max_length=16)),
                ("size_gb", models.PositiveIntegerField(null=True)),
                ("fly_state", models.CharField(blank=True, max_length=32)),
                ("reason", models.TextField(help_text="Why it counts as an orphan.")),
                (
                    "withheld",
                    models.TextField(blank=True, help_text="Why it is not destroyed now."),
                ),
                ("made_at", models.DateTimeField(help_text="By Fly's word.", null=True)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("confirmed_by", models.CharField(blank=True, max_length=150)),
                (
                    "discard",
                    models.BooleanField(
                        default=False, help_text="It may go without a verified backup."
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(
                        help_text="When Fly was last told to destroy it.", null=True
                    ),
                ),
                (
                    "ended_at",
                    models.DateTimeField(
                        help_text="When it was seen gone, or was cleared.", null=True
                    ),
                ),
                (
                    "town",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="orphans",
                        to="towns.town",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("confirm_orphan", "Can confirm that orphans are destroyed"),
                ],
                "indexes": [models.Index(fields=["state", "-id"], name="orphans_by_state")],
            },
        ),
    ]
