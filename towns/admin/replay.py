"""Replays in the admin: ask for one, watch it, read and keep its result."""

import re
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from towns.admin.base import ReadOnlyAdmin
from towns.admin.replay_form import ReplayForm
from towns.changes import InvalidChange
from towns.display import tag, when
from towns.history import Actor
from towns.models import ReplayRun
from towns.readable import ago, utc
from towns.replay import telling
from towns.replay.outcome import Totals
from towns.replay.runs import TooManyReplays, begin_run, cancel_run
from towns.replay.scenario import Scenario, scenario_of_now, scenario_with

PERMISSION = "towns.view_town"
STUCK_SECONDS = 180
"""After so long without a worker the page says what to look at."""

_MOMENT = re.compile(r"(\d\d)-(\d\d) (\d\d:\d\d)")


@admin.register(ReplayRun)
class ReplayAdmin(ReadOnlyAdmin[ReplayRun]):
    """Whoever may see towns may replay them: nothing is changed by it."""

    list_display = ("what", "state_tag", "asked", "actor", "progress", "result")
    list_display_links = ("what",)
    ordering = ("-created_at", "-id")
    change_list_template = "admin/towns/replayrun/change_list.html"

    class Media:
        css = {"all": ["towns/replay.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReplayRun]:
        """Without the towns of the result, which only its page shows."""
        return super().get_queryset(request).defer("counted")

    def has_view_permission(self, request: HttpRequest, obj: ReplayRun | None = None) -> bool:
        """As of towns."""
        return request.user.has_perm(PERMISSION)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As of towns."""
        return request.user.has_perm(PERMISSION)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As of towns."""
        return request.user.has_perm(PERMISSION)

    def get_urls(self) -> list[URLPattern]:
        """The address at which one is cancelled."""
        view = self.admin_site.admin_view(require_POST(self.cancel_view))
        own = path("<uuid:run_id>/cancel/", view, name="towns_replayrun_cancel")
        return [own, *super().get_urls()]

    def cancel_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """End one that is under way."""
        run = get_object_or_404(ReplayRun, pk=run_id)
        if not _may_cancel(request, run):
            raise PermissionDenied("Only who asked for a replay, or may change towns, cancels it.")
        assert request.user.is_authenticated
        if cancel_run(run.pk, actor=Actor.person(request.user), now=timezone.now()):
            messages.success(request, "It is cancelled. What it has found is kept.")
        else:
            messages.warning(request, "It had ended already.")
        return redirect("admin:towns_replayrun_change", run.pk)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what to replay, then have workers do it."""
        if not (request.user.is_authenticated and request.user.has_perm(PERMISSION)):
            raise PermissionDenied("It lacks the permission to replay days.")
        if request.method == "POST":
            form = ReplayForm(request.POST)
            if form.is_valid() and form.asked is not None:
                asked = form.asked
                try:
                    run = begin_run(
                        asked.changes,
                        days=asked.days,
                        towns=asked.towns,
                        region=asked.region,
                        sample=asked.sample,
                        actor=Actor.person(request.user),
                        now=timezone.now(),
                    )
                except TooManyReplays as error:
                    form.add_error(None, str(error))
                else:
                    return redirect("admin:towns_replayrun_change", run.pk)
        else:
            form = ReplayForm(initial={"days": request.GET.get("days", 7), **_first(request)})
        context = {"title": "Replay the last days", "form": form, "opts": self.opts}
        return self._page(request, "form", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """How far it is, and what it has found by then."""
        if not self.has_view_permission(request) or request.method != "GET":
            raise PermissionDenied
        run = self.get_object(request, object_id)
        if run is None:
            messages.warning(request, "There is no such replay any more. Ask for it once more.")
            return redirect("admin:towns_replayrun_changelist")
        totals, scenario = Totals.from_json(run.counted), _scenario(run)
        context = {
            "title": f"Replay: {run}",
            "opts": self.opts,
            "original": run,
            "run": run,
            "about": _about(run),
            "stuck": _stuck(run),
            "may_cancel": run.is_open and _may_cancel(request, run),
            "totals": totals,
            "verdict": telling.verdict(totals),
            "figures": telling.figures(totals),
            "rows": [_row(row) for row in totals.listed],
            "more": totals.towns_that_differ - len(totals.listed),
            "notes": telling.notes(totals, scenario),
            "limits": telling.LIMITS,
            "again": _again(run),
        }
        return self._page(request, "result", context)

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "media": self.media}
        return TemplateResponse(
            request, f"admin/towns/replayrun/{name}.html", {**shared, **context}
        )

    @admin.display(description="replay")
    def what(self, run: ReplayRun) -> str:
        """The changes and the days."""
        return str(run)

    @admin.display(description="state", ordering="state")
    def state_tag(self, run: ReplayRun) -> SafeString:
        """As a tag."""
        return tag(run.state)

    @admin.display(description="asked for", ordering="created_at")
    def asked(self, run: ReplayRun) -> SafeString | str:
        """When."""
        return when(run.created_at, timezone.now())

    @admin.display(description="towns")
    def progress(self, run: ReplayRun) -> str:
        """How far it is."""
        return f"{run.done:,} of {run.total:,}" if run.is_open else f"{run.done:,}"


def _may_cancel(request: HttpRequest, run: ReplayRun) -> bool:
    """Who asked for it, and who may change what the fleet does."""
    if not request.user.has_perm(PERMISSION):
        return False
    return run.user_id == request.user.pk or request.user.has_perm("towns.change_town")


def _first(request: HttpRequest) -> dict[str, str]:
    """The form filled in by a link."""
    names = ("setting", "value", "more", "towns", "region", "sample")
    return {name: request.GET[name] for name in names if name in request.GET}


def _scenario(run: ReplayRun) -> Scenario:
    """As it was; what can't be replayed any more says nothing of the settings."""
    try:
        return scenario_with(run.changes)
    except InvalidChange:
        return scenario_of_now()


def _about(run: ReplayRun) -> str:
    if run.towns:
        whom = f"{len(run.towns):,} named town{'' if len(run.towns) == 1 else 's'}"
    else:
        whom = f"towns of {run.region}" if run.region else "the fleet"
        if run.sample is not None:
            whom = f"{whom}, at most {run.sample:,} of them"
    return (
        f"{whom[0].upper()}{whom[1:]}, {run.days} days before {utc(run.created_at)}; asked for by "
        f"{run.actor}."
    )


def _stuck(run: ReplayRun) -> str:
    now = timezone.now()
    if not run.is_open or (now - run.went_on_at).total_seconds() < STUCK_SECONDS:
        return ""
    return (
        f"No worker has gone on with it since {ago(run.went_on_at, now)}. See whether workers run "
        "(`manage.py qcluster`), then ask for it once more."
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    link = format_html(
        '<a href="{}">{}</a>', reverse("admin:towns_town_change", args=[row["id"]]), row["town"]
    )
    hours = f"{row['hours_saved']:+.1f}" if row["hours_saved"] else "0"
    # On a phone a moment stays in one piece.
    instead = _MOMENT.sub(
        "\\1\N{NON-BREAKING HYPHEN}\\2\N{NO-BREAK SPACE}\\3", telling.instead(row)
    )
    return {"town": link, "hours": hours, "instead": instead}


def _again(run: ReplayRun) -> dict[str, Any]:
    """What fills the form in for another replay of the same."""
    name, _, value = (run.changes[0] if run.changes else "").partition("=")
    return {
        "setting": name,
        "value": value,
        "more": "\n".join(run.changes[1:]),
        "days": run.days,
        "towns": "\n".join(run.towns[:50]),
        "region": run.region,
        "sample": run.sample or "",
    }
