"""Freezes: what holds automation back, and the red button."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from towns import automation
from towns.admin.base import ReadOnlyAdmin
from towns.admin.filters import StandingFilter
from towns.changes import FREEZE_MAX_MINUTES, REASON_LENGTH
from towns.display import NOTHING, exact, when
from towns.history import Actor
from towns.models import Freeze

PERMISSION = "towns.freeze_automation"


class FreezeForm(forms.Form):
    """What is halted, why, and for how long."""

    scope = forms.ChoiceField(
        choices=[("all", "all automatic actions"), ("recovery", "automatic recoveries only")]
    )
    reason = forms.CharField(
        max_length=REASON_LENGTH, widget=forms.TextInput(attrs={"class": "vTextField"})
    )
    minutes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=FREEZE_MAX_MINUTES,
        label="For how many minutes",
        help_text="Empty: until somebody thaws it.",
    )


class ThawForm(forms.Form):
    """Which freeze ends."""

    scope = forms.ChoiceField(choices=Freeze.Scope.choices, widget=forms.HiddenInput)


@admin.register(Freeze)
class FreezeAdmin(ReadOnlyAdmin[Freeze]):
    """The list is read-only; freezing and thawing go through `automation`."""

    list_display = ("scope", "reason", "actor", "began", "ends", "thawed", "thawed_by")
    list_filter = (StandingFilter,)
    search_fields = ("reason", "actor")
    ordering = ("-id",)
    fields = (
        "scope",
        "reason",
        "actor",
        exact("since"),
        exact("until"),
        exact("thawed_at"),
        "thawed_by",
    )
    change_list_template = "admin/towns/freeze/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        """The two buttons' addresses."""
        view = self.admin_site.admin_view
        return [
            path("freeze/", view(self.freeze_view), name="towns_freeze_freeze"),
            path("thaw/", view(self.thaw_view), name="towns_freeze_thaw"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history of freezes, with what stands now above it."""
        now = timezone.now()
        standing = [automation.standing_freeze(scope, now) for scope in Freeze.Scope]
        context = {
            "ops_standing": [freeze for freeze in standing if freeze is not None],
            "ops_may_freeze": request.user.has_perm(PERMISSION),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def freeze_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the reason, then freeze."""
        actor = _actor(request)
        form = FreezeForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            now, minutes = timezone.now(), form.cleaned_data["minutes"]
            automation.freeze(
                form.cleaned_data["scope"],
                reason=form.cleaned_data["reason"],
                actor=actor,
                now=now,
                until=None if minutes is None else now + timedelta(minutes=minutes),
            )
            messages.success(request, "Automation is frozen. Sweeps go on watching.")
            return redirect("admin:towns_freeze_changelist")
        return self._ask(request, "Freeze automation", form, "Freeze")

    def thaw_view(self, request: HttpRequest) -> HttpResponse:
        """Ask once more, then thaw."""
        actor = _actor(request)
        form = ThawForm(request.POST if request.method == "POST" else request.GET)
        if not form.is_valid():
            messages.warning(request, "No such freeze; nothing was done.")
            return redirect("admin:towns_freeze_changelist")
        scope = form.cleaned_data["scope"]
        if request.method == "POST":
            automation.thaw(scope, actor=actor, now=timezone.now())
            messages.success(request, f"Thawed: {scope}. Automation goes on.")
            return redirect("admin:towns_freeze_changelist")
        return self._ask(request, f"Thaw: {scope}", form, "Thaw")

    def _ask(
        self, request: HttpRequest, title: str, form: forms.Form, button: str
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": Freeze._meta,
            "form": form,
            "button": button,
        }
        return TemplateResponse(request, "admin/towns/freeze/confirm.html", context)

    @admin.display(description="since", ordering="since")
    def began(self, freeze: Freeze) -> SafeString | str:
        """When."""
        return when(freeze.since, timezone.now())

    @admin.display(description="until", ordering="until")
    def ends(self, freeze: Freeze) -> SafeString | str:
        """When it ends by itself."""
        if freeze.until is None:
            return "it is thawed by hand"
        return NOTHING if freeze.thawed_at else when(freeze.until, timezone.now())

    @admin.display(description="thawed")
    def thawed(self, freeze: Freeze) -> SafeString | str:
        """When it was thawed."""
        return when(freeze.thawed_at, timezone.now())


def _actor(request: HttpRequest) -> Actor:
    if not (request.user.is_authenticated and request.user.has_perm(PERMISSION)):
        raise PermissionDenied("It lacks the permission to freeze and thaw automation.")
    return Actor.person(request.user)
