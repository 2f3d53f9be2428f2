"""Health checks: what each probe said."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.display import exact, tag, town_link, when
from towns.models import HealthCheck
from towns.readable import used

DAY = timedelta(days=1)


class DayFilter(admin.SimpleListFilter):
    """A day of the fleet's checks, by default the last 24 hours that there are; one town's all.

    So that a list of millions of rows reads one or two daily partitions, or a town's index.
    """

    title = "day (UTC)"
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The days that are kept."""
        self._one_town = "town__id__exact" in request.GET
        today = timezone.now().date()
        days = [today - number * DAY for number in range(settings.GASTOWN_KEEP_CHECKS_DAYS + 1)]
        return [(day.isoformat(), f"{day:%a %d %b}") for day in days]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The checks of that day."""
        try:
            day = date.fromisoformat(self.value() or "")
            begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
            ends = begins + DAY
        except (ValueError, OverflowError):
            return queryset if self._one_town else _newest_day(queryset)
        return queryset.filter(checked_at__gte=begins, checked_at__lt=ends)


def _newest_day(checks: QuerySet[Any]) -> QuerySet[Any]:
    newest = HealthCheck.objects.aggregate(newest=Max("checked_at"))["newest"]
    return checks.none() if newest is None else checks.filter(checked_at__gt=newest - DAY)


@admin.register(HealthCheck)
class HealthCheckAdmin(ReadOnlyAdmin[HealthCheck]):
    """Read-only; millions of rows, so a list is of a day or of a town, counted up to a limit."""

    list_display = ("at", "of_town", "result_tag", "why", "polecats", "disk", "latency")
    list_filter = (DayFilter, "result", "kind")
    search_fields = ("town__name", "town__owner__username")
    ordering = ("-checked_at", "-id")
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
        exact("last_interaction_at"),
        "connected",
    )

    @admin.display(description="checked", ordering="checked_at")
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
