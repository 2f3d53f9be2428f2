"""Backups: the snapshots in R2 that we know of."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.admin.display import exact, operation_link, town_link, when
from towns.admin.filters import RetainedFilter
from towns.models import Backup
from towns.readable import size


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin[Backup]):
    """Read-only: snapshots are made and removed by operations."""

    list_display = ("snapshot", "of_town", "kind", "made", "verified", "how_large", "held", "gone")
    list_filter = ("kind", RetainedFilter, "held", "created_at")
    search_fields = ("town__name", "town__owner__username", "snapshot")
    ordering = ("-id",)
    list_select_related = ("town__owner",)
    fields = (
        "of_town",
        "snapshot",
        "kind",
        exact("created_at", "made"),
        exact("verified_at", "verified"),
        "generation",
        "how_large",
        "held",
        exact("gone_at", "gone"),
        "of",
    )
    readonly_fields = ("of_town", "how_large", "of")

    @admin.display(description="town")
    def of_town(self, backup: Backup) -> SafeString:
        """The town, as a link."""
        return town_link(backup.town)

    @admin.display(description="made", ordering="created_at")
    def made(self, backup: Backup) -> SafeString | str:
        """When the sandbox made it."""
        return when(backup.created_at, timezone.now())

    @admin.display(description="verified")
    def verified(self, backup: Backup) -> SafeString | str:
        """When it was last seen to be whole."""
        return when(backup.verified_at, timezone.now())

    @admin.display(description="size")
    def how_large(self, backup: Backup) -> str:
        """Of all its files."""
        return f"{size(backup.bytes)} in {backup.files} files"

    @admin.display(description="by operation")
    def of(self, backup: Backup) -> SafeString | str:
        """The operation that verified or kept it."""
        return operation_link(backup.operation)

    @admin.display(description="gone")
    def gone(self, backup: Backup) -> SafeString | str:
        """When it was removed from R2."""
        return when(backup.gone_at, timezone.now())
