"""Hourly figures of health checks, kept when the checks are gone."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.display import exact, town_link, when
from towns.models import HealthHour
from towns.readable import duration, used


@admin.register(HealthHour)
class HealthHourAdmin(ReadOnlyAdmin[HealthHour]):
    """Read-only; reached from a town, the list of all is by time."""

    list_display = ("began", "of_town", "checks", "failed", "unknown", "down", "disk", "memory")
    list_filter = ("hour",)
    search_fields = ("town__name", "town__owner__username")
    ordering = ("-hour", "-id")
    list_select_related = ("town__owner",)
    fields = (
        "of_town",
        exact("hour"),
        "checks",
        "ok",
        "failed",
        "unknown",
        "down",
        "disk",
        "memory",
        "cpu_ratio_avg",
        "cpu_ratio_max",
        "latency_ms_avg",
        "latency_ms_max",
        "polecats_active_avg",
        "polecats_active_max",
        "polecats_total_max",
        "tmux_sessions_max",
        "merge_queue_max",
    )

    @admin.display(description="hour", ordering="hour")
    def began(self, hour: HealthHour) -> SafeString | str:
        """When it began."""
        return when(hour.hour, timezone.now())

    @admin.display(description="town")
    def of_town(self, hour: HealthHour) -> SafeString:
        """The town, as a link."""
        return town_link(hour.town)

    @admin.display(description="downtime")
    def down(self, hour: HealthHour) -> str:
        """How long it was down in all."""
        return duration(hour.downtime_seconds) if hour.downtime_seconds else "none"

    @admin.display(description="disk used, at most")
    def disk(self, hour: HealthHour) -> str:
        """Of the volume."""
        return used(hour.disk_used_max, hour.disk_total_max)

    @admin.display(description="memory used, at most")
    def memory(self, hour: HealthHour) -> str:
        """Of the machine."""
        return used(hour.memory_used_max, hour.memory_total_max)
