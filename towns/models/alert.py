"""Alerts: things a person should know, open until resolved."""

from django.db import models
from django.db.models import Q


class Alert(models.Model):
    """One open alert per subject and cause; the subject is a town, or the fleet (`town` null)."""

    class Severity(models.TextChoices):
        WARNING = "warning"
        CRITICAL = "critical"

    id = models.BigAutoField(primary_key=True)
    town = models.ForeignKey(
        "towns.Town", null=True, on_delete=models.PROTECT, related_name="alerts"
    )
    cause = models.CharField(max_length=40)
    subject = models.CharField(max_length=120, help_text="The town's id, or fleet, region:ams, …")
    severity = models.CharField(max_length=8, choices=Severity)
    message = models.TextField()
    data = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When the cause was last seen.")
    resolved_at = models.DateTimeField(null=True)
    resolution = models.TextField(blank=True)
    notified_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "cause"],
                condition=Q(resolved_at__isnull=True),
                name="one_open_alert_per_subject_and_cause",
            ),
        ]
        indexes = [
            models.Index(fields=["town", "-id"], name="alerts_of_a_town"),
            models.Index(
                fields=["severity", "-id"],
                condition=Q(resolved_at__isnull=True),
                name="alerts_open_worst_first",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cause} ({self.severity})"
