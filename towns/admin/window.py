"""Maintenance windows: times in which automation leaves some towns alone."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from towns import automation
from towns.admin.base import OpsAdmin
from towns.admin.freeze import PERMISSION
from towns.changes import InvalidChange, validated_window
from towns.display import exact, when
from towns.history import Actor
from towns.lookup import UnknownTown, find_scope
from towns.models import MaintenanceWindow

if TYPE_CHECKING:
    WindowModelForm = forms.ModelForm[MaintenanceWindow]
else:
    WindowModelForm = forms.ModelForm


class WindowForm(WindowModelForm):
    """A new window."""

    scope = forms.CharField(
        max_length=290,
        help_text="fleet, region:ams, image:registry/town:1 or town:OWNER/NAME.",
        widget=UnfoldAdminTextInputWidget,
    )

    class Meta:
        model = MaintenanceWindow
        fields = ("scope", "since", "until", "reason")
        widgets = {"reason": UnfoldAdminTextInputWidget}
        help_texts = {"since": "In UTC; now, or a time to come.", "until": "In UTC."}

    def clean(self) -> dict[str, Any]:
        """The limits that hold everywhere."""
        super().clean()
        given = self.cleaned_data
        if self.errors:
            return given
        try:
            self.window = validated_window(
                scope=find_scope(given["scope"]),
                since=given["since"],
                until=given["until"],
                reason=given["reason"],
                now=timezone.now(),
            )
        except UnknownTown as error:
            self.add_error("scope", str(error))
        except InvalidChange as error:
            self.add_error(error.field, error.message)
        return given


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(OpsAdmin[MaintenanceWindow]):
    """Made and ended through `automation`; never changed."""

    list_display = ("scope", "reason", "actor", "begins", "ends", "state")
    search_fields = ("scope", "reason", "actor")
    ordering = ("-id",)
    actions = ["end"]
    form = WindowForm
    fields = ("scope", "reason", "since", "until")

    def get_fields(self, request: HttpRequest, obj: MaintenanceWindow | None = None) -> Any:
        """All of a window that is there."""
        if obj is None:
            return self.fields
        moments = [exact(name) for name in ("since", "until", "created_at", "ended_at")]
        return ("scope", "reason", "actor", *moments, "ended_by")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who may freeze may plan."""
        return request.user.has_perm(PERMISSION)

    def has_change_permission(
        self, request: HttpRequest, obj: MaintenanceWindow | None = None
    ) -> bool:
        """A window is ended and made anew rather than changed."""
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Who may plan may end."""
        return request.user.has_perm(PERMISSION)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """It begins now, unless somebody says otherwise."""
        return {"since": timezone.now(), **super().get_changeform_initial_data(request)}

    def save_model(
        self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool
    ) -> None:
        """Hand what the form holds to `automation`."""
        assert request.user.is_authenticated
        made = automation.plan_window(
            **form.window, actor=Actor.person(request.user), now=timezone.now()
        )
        for field in MaintenanceWindow._meta.concrete_fields:
            setattr(obj, field.attname, getattr(made, field.attname))

    @admin.action(description="End the selected windows now", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[MaintenanceWindow]) -> None:
        """Automation goes on at once."""
        assert request.user.is_authenticated
        actor, now = Actor.person(request.user), timezone.now()
        ended = sum(automation.end_window(pk, actor=actor, now=now) for pk in _ids(queryset))
        messages.success(request, f"{ended} ended; the others were over already.")

    @admin.display(description="from", ordering="since")
    def begins(self, window: MaintenanceWindow) -> SafeString | str:
        """When it begins."""
        return when(window.since, timezone.now())

    @admin.display(description="until", ordering="until")
    def ends(self, window: MaintenanceWindow) -> SafeString | str:
        """When it ends by itself."""
        return when(window.until, timezone.now())

    @admin.display(description="state")
    def state(self, window: MaintenanceWindow) -> str:
        """Whether it holds anything back now."""
        now = timezone.now()
        if window.ended_at is not None:
            return f"ended by {window.ended_by}"
        if window.until <= now:
            return "over"
        return "stands" if window.since <= now else "to come"


def _ids(queryset: QuerySet[MaintenanceWindow]) -> list[int]:
    return list(queryset.values_list("pk", flat=True))
