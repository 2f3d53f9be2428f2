import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("towns", "0023_operations_newest_first"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                (
                    "name",
                    models.CharField(help_text="What hears there, such as billing.", max_length=60),
                ),
                ("url", models.CharField(max_length=500)),
                (
                    "kinds",
                    models.JSONField(default=list, help_text="Kinds of events; none: all of them."),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("disabled_why", models.CharField(blank=True, max_length=300)),
                ("disabled_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=150)),
                (
                    "removed_at",
                    models.DateTimeField(
                        help_text="It is kept while its deliveries are.", null=True
                    ),
                ),
                ("secret_version", models.PositiveIntegerField(default=1)),
                ("secret_at", models.DateTimeField(help_text="Since when that secret is the one.")),
                (
                    "settled",
                    models.BigIntegerField(help_text="Every event up to here has its delivery."),
                ),
                (
                    "mark",
                    models.BigIntegerField(help_text="The newest event at marked_at.", null=True),
                ),
                ("marked_at", models.DateTimeField(null=True)),
                (
                    "failures",
                    models.PositiveIntegerField(default=0, help_text="Tries that failed in a row."),
                ),
                (
                    "paused_until",
                    models.DateTimeField(help_text="Nothing is tried before.", null=True),
                ),
                ("last_sent_at", models.DateTimeField(null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        help_text="Whose towns; nobody's: the whole fleet.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="webhooks",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook",
                "ordering": ["name", "id"],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("sent", "Sent"),
                            ("given_up", "given up"),
                        ],
                        default="pending",
                        max_length=8,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(help_text="Not told before; the next try.")),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("last_error", models.TextField(blank=True)),
                (
                    "in_doubt",
                    models.BooleanField(
                        default=False, help_text="A try may have arrived although nobody said so."
                    ),
                ),
                ("claim", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "event",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="towns.lifecycleevent",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="towns.webhookendpoint",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "ordering": ["-id"],
            },
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.UniqueConstraint(
                condition=models.Q(("owner__isnull", False), ("removed_at", None)),
                fields=("owner", "name"),
                name="one_webhook_per_owner_and_name",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.UniqueConstraint(
                condition=models.Q(("owner", None), ("removed_at", None)),
                fields=("name",),
                name="one_webhook_of_the_fleet_per_name",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["endpoint", "due_at"],
                name="webhook_deliveries_pending",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["endpoint", "-id"], name="webhook_deliveries_listed"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["ended_at"], name="webhook_deliveries_ended"),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(
                fields=("endpoint", "event"), name="one_delivery_per_webhook_and_event"
            ),
        ),
    ]
