"""Alerts: what a person should know."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.admin.delivery import next_try, state_of
from towns.admin.filters import OpenFilter
from towns.display import exact, facts, table, tag, town_link, when
from towns.models import Alert
from towns.readable import utc

_HEADS = ("News", "Channel", "To", "State", "Told, or next try", "Tries", "Last error")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert]):
    """Read-only: an alert is closed by the recovery of what it is about."""

    list_display = ("opened", "about", "severity_tag", "cause", "message", "closed")
    list_filter = (OpenFilter, "severity", "cause")
    search_fields = ("town__name", "town__owner__username", "cause", "message")
    ordering = ("-id",)
    list_select_related = ("town__owner",)
    fields = (
        "about",
        "severity_tag",
        "cause",
        "message",
        exact("opened_at"),
        exact("seen_at", "last seen at"),
        exact("resolved_at"),
        "resolution",
        exact("notified_at"),
        "told",
        "details",
    )
    readonly_fields = ("about", "severity_tag", "told", "details")

    @admin.display(description="opened", ordering="id")
    def opened(self, alert: Alert) -> SafeString | str:
        """When."""
        return when(alert.opened_at, timezone.now())

    @admin.display(description="about")
    def about(self, alert: Alert) -> SafeString | str:
        """The town, or the part of the fleet."""
        return alert.subject if alert.town is None else town_link(alert.town)

    @admin.display(description="severity", ordering="severity")
    def severity_tag(self, alert: Alert) -> SafeString:
        """How bad it is."""
        return tag(alert.severity)

    @admin.display(description="resolved")
    def closed(self, alert: Alert) -> SafeString | str:
        """When it was resolved, or that it is open."""
        return "open" if alert.resolved_at is None else when(alert.resolved_at, timezone.now())

    @admin.display(description="told to")
    def told(self, alert: Alert) -> SafeString | str:
        """Its deliveries: who was told what, and what went wrong in that."""
        rows = [
            (
                delivery.news,
                delivery.channel,
                f"{delivery.recipient} ({delivery.audience})",
                state_of(delivery),
                utc(delivery.sent_at) if delivery.sent_at else next_try(delivery),
                delivery.attempts,
                delivery.last_error,
            )
            for delivery in alert.deliveries.order_by("pk")
        ]
        return table("Told to", _HEADS, rows) if rows else "nobody"

    @admin.display(description="details")
    def details(self, alert: Alert) -> SafeString | str:
        """What it was opened with."""
        return facts(alert.data)
