"""Restore drills and their results; when backups were last looked at, and what staff decided."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("towns", "0007_reconcile")]
    operations = [
        migrations.AlterModelOptions(
            name="backup",
            options={
                "ordering": ["-created_at", "-id"],
                "permissions": [("decide_backup", "Can accept and drop held snapshots")],
            },
        ),
        migrations.AddField(
            model_name="backup",
            name="dropped_at",
            field=models.DateTimeField(
                help_text="When staff decided against a held snapshot.", null=True
            ),
        ),
        migrations.AddField(
            model_name="town",
            name="backups_checked_at",
            field=models.DateTimeField(
                blank=True, help_text="When R2 was last asked for its backups.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="operation",
            name="kind",
            field=models.CharField(
                choices=[
                    ("provision", "provision"),
                    ("start", "start"),
                    ("stop", "stop"),
                    ("restart", "restart"),
                    ("recover", "recover"),
                    ("destroy", "destroy"),
                    ("restore", "restore"),
                    ("backup", "backup"),
                    ("drill", "drill"),
                ],
                max_length=16,
            ),
        ),
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
            name="Drill",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("automatic", models.BooleanField(default=False)),
                (
                    "snapshot",
                    models.CharField(
                        blank=True, help_text="The newest, to be restored.", max_length=32
                    ),
                ),
                (
                    "result",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("ok", "ok: the newest snapshot restored, and its data opened"),
                            ("corrupt", "corrupt: the newest snapshot does not restore"),
                            ("failed", "failed: nothing to restore, or its data don't open"),
                            ("inconclusive", "inconclusive: it proves nothing"),
                        ],
                        max_length=12,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                (
                    "fell_back_to",
                    models.CharField(
                        blank=True,
                        help_text="The older snapshot that restored in its place.",
                        max_length=32,
                    ),
                ),
                (
                    "corrupt",
                    models.JSONField(
                        default=list, help_text="The snapshots that did not restore."
                    ),
                ),
                ("bytes", models.BigIntegerField(null=True)),
                ("began_at", models.DateTimeField()),
                (
                    "finished_at",
                    models.DateTimeField(help_text="When the result was known.", null=True),
                ),
                (
                    "machine_id",
                    models.CharField(blank=True, help_text="Throw-away.", max_length=32),
                ),
                (
                    "volume_id",
                    models.CharField(blank=True, help_text="Throw-away.", max_length=40),
                ),
                (
                    "cleaned_at",
                    models.DateTimeField(
                        help_text="When its machine and its volume were seen gone.", null=True
                    ),
                ),
                (
                    "operation",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="drill",
                        to="towns.operation",
                    ),
                ),
                (
                    "town",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="drills",
                        to="towns.town",
                    ),
                ),
            ],
            options={
                "ordering": ["-began_at", "-id"],
                "permissions": [("drill_town", "Can have restore drills made of towns")],
                "indexes": [
                    models.Index(fields=["town", "-began_at"], name="drills_of_a_town"),
                    models.Index(fields=["-began_at"], name="drills_newest_first"),
                    models.Index(
                        condition=models.Q(("cleaned_at__isnull", True)),
                        fields=["began_at"],
                        name="drills_left_over",
                    ),
                ],
            },
        ),
    ]
