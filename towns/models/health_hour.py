"""Hourly figures of a town, kept longer than its health checks."""

from django.db import models


class HealthHour(models.Model):
    """What the checks of one town said in one hour. Written by `towns.upkeep.hours` alone.

    Figures that no check told are null: unknown, never zero. An hour without checks has no row.
    """

    id = models.BigAutoField(primary_key=True)
    town = models.ForeignKey(
        "towns.Town", on_delete=models.PROTECT, related_name="health_hours", db_index=False
    )
    hour = models.DateTimeField(help_text="When it begins.")
    checks = models.PositiveIntegerField()
    ok = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    unknown = models.PositiveIntegerField()
    downtime_seconds = models.PositiveIntegerField(
        help_text="From each failed check to the next one, at most two periods."
    )
    latency_ms_avg = models.FloatField(null=True)
    latency_ms_max = models.PositiveIntegerField(null=True)
    tmux_sessions_max = models.PositiveIntegerField(null=True)
    polecats_active_avg = models.FloatField(null=True)
    polecats_active_max = models.PositiveIntegerField(null=True)
    polecats_total_max = models.PositiveIntegerField(null=True)
    merge_queue_max = models.PositiveIntegerField(null=True)
    disk_used_avg = models.FloatField(null=True)
    disk_used_max = models.BigIntegerField(null=True)
    disk_total_max = models.BigIntegerField(null=True)
    memory_used_avg = models.FloatField(null=True)
    memory_used_max = models.BigIntegerField(null=True)
    memory_total_max = models.BigIntegerField(null=True)
    cpu_ratio_avg = models.FloatField(null=True)
    cpu_ratio_max = models.FloatField(null=True)

    class Meta:
        ordering = ["-hour"]
        constraints = [
            models.UniqueConstraint(fields=["town", "hour"], name="one_row_per_town_and_hour")
        ]
        indexes = [models.Index(fields=["hour"], name="health_hours_by_time")]

    def __str__(self) -> str:
        return f"{self.checks} checks from {self.hour:%Y-%m-%d %H:%M}"
