"""Sweeps: which passes over the fleet were made, and what they found."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.display import exact, facts, when
from towns.models import Sweep
from towns.readable import duration


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin[Sweep]):
    """Read-only; one row a slot."""

    list_display = ("kind", "slot", "began", "took", "towns", "found")
    list_filter = ("kind", "slot")
    ordering = ("-id",)
    fields = (
        "kind",
        exact("slot"),
        exact("started_at"),
        exact("finished_at"),
        "took",
        "towns",
        "found",
    )
    readonly_fields = ("took", "found")

    @admin.display(description="began", ordering="started_at")
    def began(self, sweep: Sweep) -> SafeString | str:
        """When."""
        return when(sweep.started_at, timezone.now())

    @admin.display(description="took")
    def took(self, sweep: Sweep) -> str:
        """How long it ran."""
        if sweep.finished_at is None:
            return "under way"
        return duration((sweep.finished_at - sweep.started_at).total_seconds())

    @admin.display(description="what it found")
    def found(self, sweep: Sweep) -> SafeString | str:
        """Its summary."""
        return facts(sweep.summary)
