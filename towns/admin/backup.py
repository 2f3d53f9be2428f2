"""Backups: the snapshots in R2 that we know of."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from towns.actions import NotAllowed
from towns.admin.base import ReadOnlyAdmin
from towns.admin.filters import RetainedFilter
from towns.display import NOTHING, exact, operation_link, tag, town_link, when
from towns.held import accept_held, drop_held
from towns.history import Actor
from towns.models import Backup
from towns.readable import size
from towns.services import default_services
from towns.services.errors import ServiceError

PERMISSION = "towns.decide_backup"
DECISIONS = {
    "accept": "It becomes the town's newest backup although it is much smaller than the one "
    "before; a recovery would restore it, and the older ones are rotated away by the next backups.",
    "drop": "It never becomes the newest backup, and goes away in time. The town's backups stand "
    "still until a snapshot of it is large enough again, or one is accepted.",
}


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin[Backup]):
    """Read-only: snapshots are made and removed by operations. About one that the shrink guard
    holds back staff decide."""

    list_display = (
        "snapshot",
        "of_town",
        "kind",
        "made",
        "verified",
        "how_large",
        "held_tag",
        "gone",
    )
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
        "held_tag",
        exact("dropped_at", "dropped by staff"),
        exact("gone_at", "gone"),
        "of",
    )
    change_form_template = "admin/towns/backup/change_form.html"
    readonly_fields = ("of_town", "how_large", "held_tag", "of")

    def get_urls(self) -> list[URLPattern]:
        """The address of the two decisions."""
        view = self.admin_site.admin_view(self.decide_view)
        own = path("<int:pk>/decide/<str:decision>/", view, name="towns_backup_decide")
        return [own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the buttons to decide about a held snapshot."""
        backup = self.get_object(request, object_id)
        open_ = backup is not None and backup.held and backup.gone_at is None
        decisions = list(DECISIONS) if open_ and request.user.has_perm(PERMISSION) else []
        context = {"ops_decisions": decisions, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def decide_view(self, request: HttpRequest, pk: int, decision: str) -> HttpResponse:
        """Say what will happen, then do it."""
        if decision not in DECISIONS:
            raise Http404(f"There is no decision “{decision}”.")
        if not (request.user.is_authenticated and request.user.has_perm(PERMISSION)):
            raise PermissionDenied("It lacks the permission to decide about held snapshots.")
        backup = get_object_or_404(Backup.objects.select_related("town__owner"), pk=pk)
        if request.method == "POST":
            _decide(request, backup, decision, Actor.person(request.user))
            return redirect("admin:towns_backup_change", pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{decision.capitalize()}: snapshot {backup.snapshot} of {backup.town}",
            "opts": Backup._meta,
            "backup": backup,
            "text": DECISIONS[decision],
            "button": decision.capitalize(),
        }
        return TemplateResponse(request, "admin/towns/backup/confirm.html", context)

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

    @admin.display(description="held back", ordering="held")
    def held_tag(self, backup: Backup) -> SafeString | str:
        """Whether the shrink guard keeps it back."""
        return tag("warning", "held back") if backup.held else NOTHING

    @admin.display(description="by operation")
    def of(self, backup: Backup) -> SafeString | str:
        """The operation that verified or kept it."""
        return operation_link(backup.operation)

    @admin.display(description="gone")
    def gone(self, backup: Backup) -> SafeString | str:
        """When it was removed from R2."""
        return when(backup.gone_at, timezone.now())


def _decide(request: HttpRequest, backup: Backup, decision: str, actor: Actor) -> None:
    services = default_services()
    try:
        if decision == "accept":
            accept_held(backup.town, backup.snapshot, services, actor=actor)
        else:
            drop_held(backup.town, backup.snapshot, actor=actor, now=services.clock.now())
    except NotAllowed as error:
        messages.warning(request, f"Refused: {error.reason}")
    except ServiceError as error:
        messages.error(request, f"Not done: {error}")
    else:
        word = "accepted" if decision == "accept" else "dropped"
        messages.success(request, f"Snapshot {backup.snapshot} was {word}.")
