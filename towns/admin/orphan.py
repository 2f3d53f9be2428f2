"""Orphans: what Fly has and no town holds, and staff's word on it."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from towns import orphans
from towns.admin.base import ReadOnlyAdmin
from towns.display import NOTHING, exact, tag, town_link, when
from towns.history import Actor
from towns.models import Orphan
from towns.orphans import NotConfirmable

PERMISSION, DISCARD = "towns.confirm_orphan", "towns.discard_town"
AT_ONCE = 100


class ConfirmForm(forms.Form):
    """The typed confirmation: the one's id at Fly, or how many they are."""

    typed = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"}))
    discard = forms.BooleanField(
        required=False,
        label="Discard the data",
        help_text="Go on without a verified backup made after this confirmation.",
    )

    def __init__(self, *args: Any, chosen: Sequence[Orphan], discard: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._expected = chosen[0].fly_id if len(chosen) == 1 else str(len(chosen))
        what = "its id" if len(chosen) == 1 else "how many they are"
        self.fields["typed"].label = f"Type {what}: {self._expected}"
        if not discard:
            del self.fields["discard"]

    def clean_typed(self) -> str:
        """It must be what was asked for, to the letter."""
        typed: str = self.cleaned_data["typed"].strip()
        if typed != self._expected:
            raise forms.ValidationError(
                "That is not “%(expected)s”. Nothing was done.", params={"expected": self._expected}
            )
        return typed


@admin.register(Orphan)
class OrphanAdmin(ReadOnlyAdmin[Orphan]):
    """Rows are written by sweeps; staff confirm, or take it back, through `orphans`."""

    list_display = (
        "fly_id",
        "kind",
        "state_tag",
        "cause",
        "of_town",
        "region",
        "size",
        "made",
        "seen",
        "reason",
        "withheld",
    )
    list_filter = ("state", "kind", "cause")
    search_fields = ("fly_id", "name", "town__name", "town__owner__username")
    ordering = ("-id",)
    list_select_related = ("town__owner",)
    actions = ("confirm_action", "keep_action")
    fields = (
        "fly_id",
        "kind",
        "name",
        "state_tag",
        "cause",
        "reason",
        "withheld",
        "of_town",
        "fly_app",
        "region",
        "size",
        "fly_state",
        exact("made_at"),
        exact("first_seen_at"),
        exact("last_seen_at"),
        exact("confirmed_at"),
        "confirmed_by",
        "discard",
        exact("asked_at", "Fly was last told at"),
        exact("ended_at"),
    )
    readonly_fields = ("state_tag", "of_town", "size")

    def get_urls(self) -> list[URLPattern]:
        """The confirmation's address."""
        view = self.admin_site.admin_view(self.confirm_view)
        return [path("confirm/", view, name="towns_orphan_confirm"), *super().get_urls()]

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        """Whether the user may decide about orphans."""
        return request.user.has_perm(PERMISSION)

    @admin.action(description="Confirm for destruction", permissions=["confirm"])
    def confirm_action(self, request: HttpRequest, queryset: QuerySet[Orphan]) -> HttpResponse:
        """Lead to the page that asks once more."""
        return self._ask(request, list(queryset.select_related("town__owner")[: AT_ONCE + 1]))

    @admin.action(description="Keep after all", permissions=["confirm"])
    def keep_action(self, request: HttpRequest, queryset: QuerySet[Orphan]) -> None:
        """Take confirmations back."""
        for orphan in queryset[:AT_ONCE]:
            try:
                orphans.take_back(orphan.pk, actor=_actor(request), now=timezone.now())
                messages.success(request, f"Kept: {orphan}.")
            except NotConfirmable as error:
                messages.warning(request, f"Refused: {error}")

    def confirm_view(self, request: HttpRequest) -> HttpResponse:
        """A confirmed POST lets later sweeps destroy them; a GET shows the page."""
        given = request.POST if request.method == "POST" else request.GET
        ids = [int(word) for word in given.get("orphans", "").split(",") if word.isdecimal()]
        found = Orphan.objects.filter(pk__in=ids[: AT_ONCE + 1]).select_related("town__owner")
        return self._ask(request, list(found.order_by("pk")), typed=request.method == "POST")

    def _ask(
        self, request: HttpRequest, chosen: list[Orphan], *, typed: bool = False
    ) -> HttpResponse:
        actor = _actor(request)
        if not chosen or len(chosen) > AT_ONCE:
            text = f"Between 1 and {AT_ONCE} orphans can be confirmed at once; nothing was done."
            messages.warning(request, text)
            return redirect("admin:towns_orphan_changelist")
        may_discard = request.user.has_perm(DISCARD)
        form = ConfirmForm(request.POST if typed else None, chosen=chosen, discard=may_discard)
        if typed and form.is_valid():
            self._confirm(request, chosen, actor, discard=form.cleaned_data.get("discard", False))
            return redirect("admin:towns_orphan_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": "Confirm that orphans are destroyed",
            "opts": Orphan._meta,
            "chosen": chosen,
            "ids": ",".join(str(orphan.pk) for orphan in chosen),
            "form": form,
        }
        return TemplateResponse(request, "admin/towns/orphan/confirm.html", context)

    def _confirm(
        self, request: HttpRequest, chosen: Sequence[Orphan], actor: Actor, *, discard: bool
    ) -> None:
        for orphan in chosen:
            try:
                orphans.confirm(orphan.pk, actor=actor, now=timezone.now(), discard=discard)
                messages.success(request, f"Confirmed: {orphan}. A later sweep destroys it.")
            except NotConfirmable as error:
                messages.warning(request, f"Refused: {error}")

    @admin.display(description="state", ordering="state")
    def state_tag(self, orphan: Orphan) -> SafeString:
        """Where it stands."""
        return tag(orphan.state, orphan.get_state_display().lower())

    @admin.display(description="town")
    def of_town(self, orphan: Orphan) -> SafeString | str:
        """Whose it was, as far as we know."""
        return NOTHING if orphan.town is None else town_link(orphan.town)

    @admin.display(description="size", ordering="size_gb")
    def size(self, orphan: Orphan) -> str:
        """Of a volume."""
        return NOTHING if orphan.size_gb is None else f"{orphan.size_gb} GB"

    @admin.display(description="made", ordering="made_at")
    def made(self, orphan: Orphan) -> SafeString | str:
        """When, by Fly's word."""
        return when(orphan.made_at, timezone.now())

    @admin.display(description="last seen", ordering="last_seen_at")
    def seen(self, orphan: Orphan) -> SafeString | str:
        """When Fly last listed it."""
        return when(orphan.last_seen_at, timezone.now())


def _actor(request: HttpRequest) -> Actor:
    if not (request.user.is_authenticated and request.user.has_perm(PERMISSION)):
        raise PermissionDenied("It lacks the permission to decide about orphans.")
    return Actor.person(request.user)
