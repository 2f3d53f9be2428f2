"""Health checks: what each probe said."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.admin.display import exact, tag, town_link, when
from towns.models import HealthCheck
from towns.readable import used


@admin.register(HealthCheck)
class HealthCheckAdmin(ReadOnlyAdmin[HealthCheck]):
    """Read-only; millions of rows, so the list is ordered by key and counted up to a limit."""

    list_display = ("at", "of_town", "result_tag", "why", "polecats", "disk", "latency")
    list_filter = ("result", "kind", "checked_at")
    search_fields = ("town__name", "town__owner__username")
    ordering = ("-id",)
    list_select_related = ("town__owner",)
    fields = (
        "of_town",
        exact("checked_at"),
        exact("slot"),
        "result_tag",
        "kind",
        "why",
        "latency",
        exact("heartbeat_at", "daemon's heartbeat"),
        "daemon_running",
        "dolt_running",
        "tmux_sessions",
        "polecats",
        "merge_queue",
        "disk",
        "memory",
        "cpu",
    )

    @admin.display(description="checked", ordering="id")
    def at(self, check: HealthCheck) -> SafeString | str:
        """When."""
        return when(check.checked_at, timezone.now())

    @admin.display(description="town")
    def of_town(self, check: HealthCheck) -> SafeString:
        """The town, as a link."""
        return town_link(check.town)

    @admin.display(description="result")
    def result_tag(self, check: HealthCheck) -> SafeString:
        """ok, failed or unknown."""
        return tag(check.result)

    @admin.display(description="reason")
    def why(self, check: HealthCheck) -> str:
        """Why it failed, or is unknown."""
        return check.reason or "-"

    @admin.display(description="polecats")
    def polecats(self, check: HealthCheck) -> str:
        """How many work, of how many there are."""
        return polecats(check.polecats_active, check.polecats_total)

    @admin.display(description="disk used")
    def disk(self, check: HealthCheck) -> str:
        """Of the volume."""
        return used(check.disk_used, check.disk_total)

    @admin.display(description="memory used")
    def memory(self, check: HealthCheck) -> str:
        """Of the machine."""
        return used(check.memory_used, check.memory_total)

    @admin.display(description="CPU used")
    def cpu(self, check: HealthCheck) -> str:
        """Of the machine's cores."""
        return "unknown" if check.cpu_ratio is None else f"{100 * check.cpu_ratio:.0f} %"

    @admin.display(description="answered in")
    def latency(self, check: HealthCheck) -> str:
        """How long the sandbox took."""
        return "-" if check.latency_ms is None else f"{check.latency_ms} ms"


def polecats(active: int | None, total: int | None) -> str:
    """`2 active of 3`; unknown stays unknown."""
    if active is None:
        return "unknown"
    return f"{active} active" + ("" if total is None else f" of {total}")
