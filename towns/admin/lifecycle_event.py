"""Lifecycle events: the history, which nobody changes."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.admin.filters import ToStatusFilter
from towns.display import exact, facts, operation_link, tag, town_link, when
from towns.models import LifecycleEvent


@admin.register(LifecycleEvent)
class LifecycleEventAdmin(ReadOnlyAdmin[LifecycleEvent]):
    """Read-only; millions of rows, so the list is ordered by key and counted up to a limit."""

    list_display = ("happened", "of_town", "what", "to", "by", "reason")
    list_filter = (ToStatusFilter, "automatic", "at")
    search_fields = ("town__name", "town__owner__username", "=actor", "=kind")
    ordering = ("-id",)
    list_select_related = ("town__owner",)
    fields = (
        "of_town",
        exact("at", "when"),
        "what",
        "from_status",
        "to_status",
        "by",
        "reason",
        "inputs",
        "of",
    )
    readonly_fields = ("of_town", "what", "by", "inputs", "of")

    @admin.display(description="when", ordering="id")
    def happened(self, event: LifecycleEvent) -> SafeString | str:
        """When it happened."""
        return when(event.at, timezone.now())

    @admin.display(description="town")
    def of_town(self, event: LifecycleEvent) -> SafeString:
        """The town, as a link."""
        return town_link(event.town)

    @admin.display(description="what happened", ordering="kind")
    def what(self, event: LifecycleEvent) -> str:
        """Its kind, in words."""
        return event.kind.replace("_", " ")

    @admin.display(description="status")
    def to(self, event: LifecycleEvent) -> SafeString | str:
        """The status that it led to."""
        return tag(event.to_status) if event.to_status else "-"

    @admin.display(description="who", ordering="actor")
    def by(self, event: LifecycleEvent) -> str:
        """The person, or the automatic rule."""
        return f"{event.actor} (automatic)" if event.automatic else event.actor

    @admin.display(description="rule and inputs")
    def inputs(self, event: LifecycleEvent) -> SafeString | str:
        """What decided."""
        return facts(event.data)

    @admin.display(description="operation")
    def of(self, event: LifecycleEvent) -> SafeString | str:
        """The operation that it belongs to."""
        return operation_link(event.operation)
