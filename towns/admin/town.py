"""Towns: the fleet as a list, and one town with all that is known of it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from towns import actions
from towns.admin.base import OpsAdmin
from towns.admin.columns import TownColumns
from towns.admin.confirm import act_view, confirm_page
from towns.admin.filters import LifeFilter, RegionFilter, ResultFilter
from towns.admin.town_actions import ACTIONS, TOWNS_AT_ONCE, TownAction, may
from towns.admin.town_forms import CHANGEABLE, TownAddForm, TownChangeForm
from towns.admin.town_page import page_context
from towns.bulk_work.plan import KINDS, NothingSelected, make_plan
from towns.bulk_work.working import call_worker
from towns.causes import grouped, number_of
from towns.display import exact
from towns.history import Actor
from towns.live.pages import REFRESH_HEADER
from towns.models import Town
from towns.presenting import presentable
from towns.town_page.past import Span
from towns.words import OperationKind

BULK = "bulk_"
OWNERS_FOUND = 200
AdminAction = Callable[[Any, HttpRequest, QuerySet[Town]], HttpResponse]


def _admin_action(action: TownAction) -> AdminAction:
    """The entry of the list's menu: it shows the confirmation page and does nothing else."""

    def ask(_: Any, request: HttpRequest, queryset: QuerySet[Town]) -> HttpResponse:
        towns = list(queryset.order_by("owner__username", "name")[: TOWNS_AT_ONCE + 1])
        if len(towns) > TOWNS_AT_ONCE:
            messages.warning(request, f"At most {TOWNS_AT_ONCE} towns at once; nothing was done.")
            return redirect(request.get_full_path())
        return confirm_page(admin.site, request, action, towns)

    ask.__name__ = action.name
    ask.short_description = f"{action.label} the selected towns"  # type: ignore[attr-defined]
    return ask


def _bulk_action(kind: OperationKind) -> AdminAction:
    """The entry that plans bulk work: any selection up to the whole filter."""

    def plan(_: Any, request: HttpRequest, queryset: QuerySet[Town]) -> HttpResponse:
        assert isinstance(request.user, User)
        across = request.POST.get("select_across") == "1"
        if across and (senseless := _senseless(request.GET)):
            messages.error(
                request,
                f"Nothing is done: the list's filter makes no sense ({senseless}), and might mean "
                "all towns. Choose the filter again.",
            )
            return redirect("admin:towns_town_changelist")
        chosen = "All that match" if across else "Selected of"
        selection = f"{chosen} {request.GET.urlencode() or 'the whole list'}"
        now = timezone.now()
        try:
            run = make_plan(kind, queryset, user=request.user, selection=selection, now=now)
        except NothingSelected as error:
            messages.warning(request, str(error))
            return redirect(request.get_full_path())
        if run.state == run.State.PLANNING:
            call_worker()
        return redirect("admin:towns_bulkrun_change", run.pk)

    plan.__name__ = f"{BULK}{kind}"
    plan.short_description = f"In bulk, at a pace: {kind}"  # type: ignore[attr-defined]
    return plan


@admin.register(Town)
class TownAdmin(TownColumns, OpsAdmin[Town]):
    """Looking at a town is no interaction; what is wanted of it goes through `actions`."""

    list_display = (
        "town",
        "status_tag",
        "health_tag",
        "interaction",
        "idle_left",
        "backup_age",
        "region",
    )
    list_filter = (
        LifeFilter,
        "status",
        ResultFilter,
        "desired_state",
        "auto_stop",
        RegionFilter,
    )
    search_fields = ("name", "owner__username", "=machine_id")
    search_help_text = "A town's name, its owner, owner/name, its id, or its machine's id."
    ordering = ("-created_at", "-id")
    actions = [
        *(_admin_action(action) for action in ACTIONS.values()),
        *(_bulk_action(kind) for kind in KINDS),
    ]
    change_form_template = "admin/towns/town/change_form.html"
    change_list_template = "admin/towns/town/change_list.html"
    fieldsets = (
        (None, {"fields": ("status_told", "desired_state", "check_told", "restorable")}),
        ("Idleness", {"fields": ("interaction", "awake", "planned_stop", *CHANGEABLE)}),
        (
            "Restarts",
            {"fields": (exact("episode_since"), exact("restarts_cleared_at"), "clear_restarts")},
        ),
        (
            "Latest figures",
            {"fields": ("processes", "work", "disk", "memory", "cpu", "heartbeat")},
        ),
        ("Backups", {"fields": ("backup_told", "drill_told")}),
        (
            "Where it is",
            {
                "classes": ("collapse",),
                "fields": (
                    "id_told",
                    "owner",
                    "region",
                    "app_told",
                    "machine_told",
                    "volume_told",
                    "image_told",
                    "generation",
                    "key_version",
                    "sandbox_told",
                    exact("created_at"),
                    exact("destroyed_at"),
                ),
            },
        ),
    )
    add_fieldsets = ((None, {"fields": ("owner_name", "name", "region", "idle_timeout_minutes")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Town]:
        """With owners and operations under way: a fixed number of queries for any page."""
        return presentable(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Town], search_term: str
    ) -> tuple[QuerySet[Town], bool]:
        """An id and owner/name name one town; another word is looked for in names (which are all in
        lower case), among the first of the owners that have it, and as the id of a machine."""
        term = search_term.strip()
        owner, slash, name = term.partition("/")
        if slash:
            return queryset.filter(owner__username=owner, name__startswith=name), False
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:  # not an id
            pass
        if not term:
            return queryset, False
        owners = User.objects.filter(username__icontains=term).values_list("pk", flat=True)
        found = Q(owner__in=list(owners[:OWNERS_FOUND])) | Q(machine_id=term)
        return queryset.filter(found | Q(name__contains=term.lower())), False

    def get_actions(self, request: HttpRequest) -> Any:
        """Only what this person may do."""
        return {
            name: entry
            for name, entry in super().get_actions(request).items()
            if (action := ACTIONS.get(name.removeprefix(BULK))) and may(request.user, action)
        }

    def get_urls(self) -> list[URLPattern]:
        """One address more, for confirmations."""

        def act(request: HttpRequest, name: str) -> HttpResponse:
            return act_view(self.admin_site, request, name)

        own = path("act/<str:name>/", self.admin_site.admin_view(act), name="towns_town_act")
        return [own, *super().get_urls()]

    def get_form(
        self, request: HttpRequest, obj: Town | None = None, change: bool = False, **kwargs: Any
    ) -> "type[forms.ModelForm[Town]]":
        """One form to make a town, another to change one."""
        kwargs["form"] = TownAddForm if obj is None else TownChangeForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Town | None = None) -> Any:
        """A town that doesn't exist yet has nothing to tell."""
        if obj is None:
            return self.add_fieldsets
        if self.has_change_permission(request, obj):
            return self.fieldsets
        return _without("clear_restarts", self.fieldsets)

    def get_readonly_fields(self, request: HttpRequest, obj: Town | None = None) -> Any:
        """All that isn't in the form."""
        if obj is None:
            return ()
        names = [name for _, options in self.fieldsets for name in options["fields"]]
        return [name for name in names if name not in (*CHANGEABLE, "clear_restarts")]

    def save_model(self, request: HttpRequest, obj: Town, form: Any, change: bool) -> None:
        """Hand what the form holds to `actions`, which keeps it in the town's history."""
        assert request.user.is_authenticated
        actor, now = Actor.person(request.user), timezone.now()
        if change:
            actions.change_town(obj.pk, form.changes, actor=actor, now=now)
            return
        requested = actions.create_town(
            form.cleaned_data["owner_name"],
            form.cleaned_data["name"],
            actor=actor,
            now=now,
            region=form.cleaned_data["region"],
            idle_timeout_minutes=form.cleaned_data["idle_timeout_minutes"],
        )
        made = requested.operation.town
        for field in Town._meta.concrete_fields:
            setattr(obj, field.attname, getattr(made, field.attname))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make a town; a name that was taken at this very moment is told."""
        try:
            return super().add_view(request, form_url, extra_context)
        except actions.NotAllowed as error:
            messages.error(request, f"Not made: {error.reason}")
            return redirect("admin:towns_town_add")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, with what the failing towns share above it."""
        failing, groups = grouped(named=False)
        context = {"ops_failing": number_of(failing), "ops_groups": groups[:5]}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A town with its buttons and its latest history. What can't be changed is told."""
        town = self.get_object(request, object_id)
        if town is not None and self.has_view_permission(request, town):
            context = page_context(town, request.user, timezone.now(), **_wanted(request))
            context["show_save_and_add_another"] = False
            extra_context = {**context, **(extra_context or {})}
        try:
            return super().change_view(request, object_id, form_url, extra_context)
        except actions.NotAllowed as error:
            messages.error(request, f"Not changed: {error.reason}")
            return redirect(request.get_full_path())


def _wanted(request: HttpRequest) -> dict[str, Any]:
    """Which span of charts, which page of the timeline, and whether Fly is asked (not for a page
    that refreshes itself); what makes no sense counts as none."""
    at_fly = request.GET.get("fly") == "1" and REFRESH_HEADER not in request.headers
    wanted: dict[str, Any] = {"at_fly": at_fly}
    if request.GET.get("span") == Span.WEEK:
        wanted["span"] = Span.WEEK
    with suppress(ValueError):
        before = parse_datetime(request.GET.get("before", ""))
        if before is not None and before.tzinfo is not None:
            wanted["before"] = before
    return wanted


def _senseless(filters: QueryDict) -> str:
    """What of a list's filter says nothing: an empty value, or the mark of one that was refused."""
    empty = [
        name for name, value in filters.items() if not str(value).strip() and name != SEARCH_VAR
    ]
    return ", ".join(empty + ([ERROR_FLAG] if ERROR_FLAG in filters else []))


def _without(name: str, fieldsets: Any) -> Any:
    return [
        (title, {**options, "fields": [f for f in options["fields"] if f != name]})
        for title, options in fieldsets
    ]
