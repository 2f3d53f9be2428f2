"""Restore drills: which backups were proved to restore."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.display import exact, operation_link, tag, town_link, when
from towns.models import Drill
from towns.readable import duration, size


@admin.register(Drill)
class DrillAdmin(ReadOnlyAdmin[Drill]):
    """Read-only: a drill is asked for on its town's page, or has its turn."""

    list_display = ("result_tag", "of_town", "snapshot", "fell_back_to", "began", "took", "left")
    list_filter = ("result", "automatic", "began_at")
    search_fields = ("town__name", "town__owner__username", "snapshot")
    ordering = ("-began_at",)
    list_select_related = ("town__owner", "operation")
    fields = (
        "of_town",
        "result_tag",
        "reason",
        "snapshot",
        "fell_back_to",
        "corrupt_names",
        "how_large",
        exact("began_at", "began"),
        "took",
        "of",
        "fly_app",
        "machine_id",
        "volume_id",
        exact("cleaned_at", "machine and volume gone"),
    )
    readonly_fields = ("of_town", "result_tag", "corrupt_names", "how_large", "took", "of")

    @admin.display(description="result", ordering="result")
    def result_tag(self, drill: Drill) -> SafeString:
        """What it proved."""
        return tag(drill.result or "busy", drill.result or "under way")

    @admin.display(description="town")
    def of_town(self, drill: Drill) -> SafeString:
        """The town, as a link."""
        return town_link(drill.town)

    @admin.display(description="began", ordering="began_at")
    def began(self, drill: Drill) -> SafeString | str:
        """When."""
        return when(drill.began_at, timezone.now())

    @admin.display(description="took")
    def took(self, drill: Drill) -> str:
        """How long until its result was known."""
        return "-" if drill.seconds is None else duration(drill.seconds)

    @admin.display(description="left over")
    def left(self, drill: Drill) -> str:
        """Whether its throw-away machine and volume are still there."""
        if drill.cleaned_at is not None:
            return "nothing"
        over = drill.operation is None or not drill.operation.is_open
        return "being removed" if over else "in use"

    @admin.display(description="snapshots that don't restore")
    def corrupt_names(self, drill: Drill) -> str:
        """Those that it has read and found corrupt."""
        return ", ".join(drill.corrupt) or "-"

    @admin.display(description="size")
    def how_large(self, drill: Drill) -> str:
        """Of the snapshot."""
        return size(drill.bytes)

    @admin.display(description="operation")
    def of(self, drill: Drill) -> SafeString | str:
        """Its steps."""
        return operation_link(drill.operation)
