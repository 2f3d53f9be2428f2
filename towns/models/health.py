"""Health checks: one probe of one town and what it said."""

from typing import Any

from django.db import models
from django.db.models import Q

from towns.words import CheckResult, FailureKind

FIGURES = (
    "daemon_running",
    "dolt_running",
    "tmux_sessions",
    "polecats_active",
    "polecats_total",
    "merge_queue",
    "disk_used",
    "disk_total",
    "memory_used",
    "memory_total",
    "cpu_ratio",
)
"""The figures that a check stores and its town repeats. Bytes; `cpu_ratio` is 0 to 1."""


class HealthCheck(models.Model):
    """Append-only. Figures that the town didn't tell are null: unknown, never zero.

    On PostgreSQL the table is partitioned by the UTC day of `checked_at`, and each partition has
    its own index `one_check_per_town_and_slot` (`towns.upkeep.partitions`). Whoever lists checks
    names a town or a span of `checked_at`, or it reads every partition.
    """

    id = models.BigAutoField(primary_key=True)
    town = models.ForeignKey(
        "towns.Town", on_delete=models.PROTECT, related_name="health_checks", db_index=False
    )
    slot = models.DateTimeField(null=True, help_text="Empty for a check made by hand.")
    checked_at = models.DateTimeField()
    result = models.CharField(max_length=8, choices=[(r.value, r.value) for r in CheckResult])
    kind = models.CharField(
        max_length=20, blank=True, choices=[(k.value, k.value) for k in FailureKind]
    )
    reason = models.TextField(blank=True)
    latency_ms = models.PositiveIntegerField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    daemon_running = models.BooleanField(null=True)
    dolt_running = models.BooleanField(null=True)
    tmux_sessions = models.PositiveIntegerField(null=True)
    polecats_active = models.PositiveIntegerField(null=True)
    polecats_total = models.PositiveIntegerField(null=True)
    merge_queue = models.PositiveIntegerField(null=True)
    disk_used = models.BigIntegerField(null=True)
    disk_total = models.BigIntegerField(null=True)
    memory_used = models.BigIntegerField(null=True)
    memory_total = models.BigIntegerField(null=True)
    cpu_ratio = models.FloatField(null=True)
    last_interaction_at = models.DateTimeField(
        null=True, help_text="The town's last interaction when it was probed."
    )
    connected = models.BooleanField(
        null=True,
        help_text="Whether an open WebSocket kept it awake. Empty: use was not recorded yet.",
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["town", "slot"],
                condition=Q(slot__isnull=False),
                name="one_check_per_town_and_slot",
            ),
        ]
        indexes = [
            models.Index(fields=["town", "-checked_at"], name="checks_of_a_town"),
            models.Index(fields=["checked_at"], name="checks_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.result} at {self.checked_at:%Y-%m-%d %H:%M:%S}"

    def figures(self) -> dict[str, Any]:
        """The figures by name, for `Town.health`."""
        return {name: getattr(self, name) for name in FIGURES}
