"""Bulk work in the admin: preview, progress, result."""

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from towns.admin.base import ReadOnlyAdmin
from towns.admin.town_actions import ACTIONS, may
from towns.bulk_work import deciding
from towns.bulk_work.plan import counts_of, read_plan
from towns.display import tag, when
from towns.history import Actor
from towns.models import BulkItem, BulkRun
from towns.readable import duration

FAILURES_SHOWN = 50
PREVIEW = (BulkRun.State.PLANNING, BulkRun.State.PREVIEWED)
_TOLD = ("run_id", "town__name", "town__owner__username", "state", "told", "operation_id")
"""What the result is made of: all that is known of 100,000 towns would take long."""


class BeginForm(forms.Form):
    """Why, and how carefully."""

    reason = forms.CharField(max_length=300, help_text="Kept in the history of each town.")
    canaries = forms.IntegerField(
        min_value=0, max_value=100, initial=1, help_text="So many first; the rest if they succeed."
    )
    at_once = forms.IntegerField(
        min_value=1, max_value=1000, initial=10, help_text="As many are under way at once."
    )
    failures_allowed = forms.IntegerField(
        min_value=1, max_value=1000, initial=3, help_text="At so many failures it pauses."
    )


class Echo:
    """A file that hands back what is written to it, for csv."""

    def write(self, text: str) -> str:
        """What was written."""
        return text


@admin.register(BulkRun)
class BulkRunAdmin(ReadOnlyAdmin[BulkRun]):
    """The list of runs; each has a page that follows it."""

    list_display = ("id", "kind", "state_tag", "actor", "reason", "selection", "began")
    list_filter = ("state", "kind")
    list_display_links = ("id", "kind")

    def get_urls(self) -> list[URLPattern]:
        """Decisions and results have addresses of their own."""
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/result.csv", view(self.result_view), name="towns_bulkrun_result"),
            path(
                "<int:pk>/<slug:decision>",
                view(require_POST(self.decide_view)),
                name="towns_bulkrun_decide",
            ),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The preview of a run that has not begun; else how far it is."""
        run = self.get_object(request, object_id)
        if run is None or not self.has_view_permission(request, run):
            return super().change_view(request, object_id, form_url, extra_context)
        return self._page(request, run, BeginForm())

    def _page(
        self, request: HttpRequest, run: BulkRun, form: BeginForm, status: int = 200
    ) -> HttpResponse:
        counts = counts_of(run)
        total = sum(counts.values())
        ended = total - counts["unseen"] - counts["waiting"] - counts["asked"]
        now = timezone.now()
        failed = run.items.filter(state=BulkItem.State.FAILED).select_related("town__owner")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Bulk run {run.pk}: {run.kind}",
            "run": run,
            "now": now,
            "form": form,
            "may": may(request.user, ACTIONS[run.kind]),
            "plan": read_plan(run) if run.state in PREVIEW else None,
            "looked_at": total - counts["unseen"],
            "speed": speed(run, counts, now),
            "counts": [(state, counts[state.value]) for state in BulkItem.State],
            "under_way": counts["asked"],
            "more_failures": deciding.MORE_FAILURES,
            "ended": ended,
            "total": total,
            "failures": failed[:FAILURES_SHOWN],
        }
        page = "admin/towns/bulkrun/run.html"
        return TemplateResponse(request, page, context, status=status)

    def decide_view(self, request: HttpRequest, pk: int, decision: str) -> HttpResponse:
        """Begin, pause, go on or cancel."""
        run = get_object_or_404(BulkRun, pk=pk)
        if not may(request.user, ACTIONS[run.kind]):
            raise PermissionDenied
        assert isinstance(request.user, User)
        actor, now = Actor.person(request.user).name, timezone.now()
        if decision == "begin":
            form = BeginForm(request.POST)
            if not form.is_valid():
                return self._page(request, run, form, status=422)
            done = deciding.begin(pk, user=request.user, **form.cleaned_data, now=now)
        elif decision == "pause":
            done = deciding.pause(pk, actor=actor)
        elif decision == "go-on":
            done = deciding.go_on(pk, user=request.user)
        elif decision == "cancel":
            done = deciding.cancel(pk, actor=actor, now=now)
        else:
            raise Http404(f"There is no decision “{decision}”.")
        if not done:
            messages.warning(request, "Nothing was changed: somebody was faster. See below.")
        return redirect("admin:towns_bulkrun_change", pk)

    def result_view(self, request: HttpRequest, pk: int) -> HttpResponse | StreamingHttpResponse:
        """All its towns and what came of each, as CSV."""
        run = get_object_or_404(BulkRun, pk=pk)
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        answer = StreamingHttpResponse(_lines(run), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="bulk-run-{pk}.csv"'
        return answer

    @admin.display(description="state")
    def state_tag(self, run: BulkRun) -> Any:
        """How far it is."""
        tones = {"done": "ok", "paused": "warning", "cancelled": "stopped"}
        return tag(tones.get(run.state, "open"), run.get_state_display())

    @admin.display(description="made", ordering="id")
    def began(self, run: BulkRun) -> Any:
        """When."""
        return when(run.created_at, timezone.now())


def speed(run: BulkRun, counts: Counter[str], now: datetime) -> str:
    """How fast it goes and when it will be done, from what it did so far; "" if nobody can say."""
    tried = counts[BulkItem.State.DONE] + counts[BulkItem.State.FAILED]
    if not run.is_going or run.started_at is None or not tried or now <= run.started_at:
        return ""
    each = (now - run.started_at) / tried
    left = (counts[BulkItem.State.WAITING] + counts[BulkItem.State.ASKED]) * each
    a_minute = timedelta(minutes=1) / each
    return f"{a_minute:.1f} towns a minute; done in about {duration(left.total_seconds())}."


def _lines(run: BulkRun) -> Iterator[str]:
    writer: Any = csv.writer(Echo())
    yield writer.writerow(["town", "town id", "result", "why", "operation"])
    items = run.items.select_related("town__owner").only(*_TOLD)
    for item in items.iterator(chunk_size=1000):
        row = [item.town, item.town_id, item.state, item.told, item.operation_id or ""]
        yield writer.writerow([_safe(str(cell)) for cell in row])


def _safe(cell: str) -> str:
    """Spreadsheets take a cell that begins so for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell
