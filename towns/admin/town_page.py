"""What a town's page shows beside its form: what goes on, and its past, of bounded length."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.urls import reverse
from django.utils.safestring import SafeString

from towns.admin.operation import steps_table
from towns.admin.town_actions import ACTIONS, TownAction, may, may_discard, previews
from towns.display import operation_link, tag, when
from towns.models import Operation, Town
from towns.presenting import open_operation
from towns.readable import size
from towns.services import default_services
from towns.town_page.at_fly import ask_fly
from towns.town_page.backups import brought_back, kept, read_backups
from towns.town_page.charts import town_charts
from towns.town_page.past import Span, read_checks, read_hours, read_past
from towns.town_page.plan import plan
from towns.town_page.timeline import timeline, under_way
from towns.town_page.under_way import progress
from towns.why import why

ROWS = 10
NO_PERMISSION = "Your account has no permission for it. An admin can give it, as by a group."


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page; `more` leads to the whole list."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """An action on this town; `why_not` is set where it can't be done now."""

    action: TownAction
    url: str
    why_not: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Actions that can't be done now, for one reason."""

    why_not: str
    actions: list[TownAction] = field(default_factory=list)


def page_context(
    town: Town,
    user: AbstractBaseUser | AnonymousUser,
    now: datetime,
    *,
    span: Span = Span.DAY,
    before: datetime | None = None,
    at_fly: bool = False,
) -> dict[str, Any]:
    """What the template needs; the timeline begins at `before`, or now. Reads only; Fly is asked
    if the page is to show the town as it is `at_fly`."""
    operation = open_operation(town)
    buttons = _buttons(town, user, now)
    past = read_past(town, before or now)
    entries, older = timeline(past)
    if operation is not None and before is None:
        entries.insert(0, under_way(operation, now))
    answer = why(town, now)
    return {
        "ops_now": now,
        "ops_live": operation is not None,
        "ops_span": span,
        "ops_charts": _charts(town, span, now),
        "ops_timeline": entries,
        "ops_older": older,
        "ops_before": before,
        "ops_lists": [
            ("events", _more("lifecycleevent", town)),
            ("health checks", _more("healthcheck", town)),
            ("alerts", _more("alert", town)),
        ],
        "ops_buttons": buttons,
        "ops_refused": _refused(buttons),
        "ops_plan": plan(answer, now),
        "ops_why": list(answer.parts(now)),
        "ops_at_fly": ask_fly(town, default_services().fly) if at_fly else None,
        "ops_operation": operation,
        "ops_progress": None if operation is None else progress(operation, now).told(now),
        "ops_steps": None if operation is None else steps_table(operation),
        "ops_tables": [
            _operations(town, now),
            _backups(town, now),
            _drills(town, now),
        ],
    }


def _charts(town: Town, span: Span, now: datetime) -> list[SafeString]:
    since = now - span.length
    if span == Span.WEEK:
        samples, apart = read_hours(town, since), timedelta(hours=1)
    else:
        samples = read_checks(town, since, now)[::-1]
        apart = timedelta(seconds=settings.GASTOWN_HEALTH_PERIOD_SECONDS)
    return town_charts(samples, since=since, until=now, apart=apart)


def _buttons(town: Town, user: AbstractBaseUser | AnonymousUser, now: datetime) -> list[Button]:
    buttons = []
    for action in ACTIONS.values():
        url = reverse("admin:towns_town_act", args=[action.name]) + f"?towns={town.pk}"
        buttons.append(Button(action, url, _why_not(action, town, user, now)))
    return buttons


def _refused(buttons: list[Button]) -> list[Refused]:
    """What can't be done and why; the same reason is told once."""
    found: dict[str, Refused] = {}
    for button in buttons:
        if button.why_not:
            refused = found.setdefault(button.why_not, Refused(button.why_not))
            refused.actions.append(button.action)
    return list(found.values())


def _why_not(
    action: TownAction, town: Town, user: AbstractBaseUser | AnonymousUser, now: datetime
) -> str:
    if not may(user, action):
        return NO_PERMISSION
    [(_, told)] = previews(action, [town], now, discard=may_discard(user))
    return "" if told.allowed else told.text


def _more(model: str, town: Town) -> str:
    return reverse(f"admin:towns_{model}_changelist") + f"?town__id__exact={town.pk}"


def _operations(town: Town, now: datetime) -> Table:
    rows = [
        (
            when(operation.created_at, now),
            operation_link(operation),
            tag(operation.state, "under way" if operation.is_open else ""),
            f"{operation.actor} (automatic)" if operation.automatic else operation.actor,
            _how_it_went(operation),
        )
        for operation in town.operations.all()[:ROWS]
    ]
    heads = ("Began", "Operation", "State", "Who", "Steps")
    return Table("Operations", heads, rows, _more("operation", town))


def _how_it_went(operation: Operation) -> str:
    steps = ", ".join(entry["step"].replace("_", " ") for entry in operation.log)
    return ". ".join(filter(None, [steps, operation.message]))


def _backups(town: Town, now: datetime) -> Table:
    backups = read_backups(town)
    rows = [
        (
            when(backup.created_at, now),
            backup.snapshot,
            size(backup.bytes),
            when(backup.verified_at, now) if backup.verified_at else "not verified",
            kept(backup, town, now),
        )
        for backup in backups.newest
    ]
    heads = ("Made", "Snapshot", "Size", "Verified", "Where")
    note = brought_back(town, backups.best, now)
    return Table("Backups", heads, rows, _more("backup", town), note)


def _drills(town: Town, now: datetime) -> Table:
    rows: list[tuple[Any, ...]] = [
        (
            when(drill.began_at, now),
            tag(drill.result) if drill.result else tag("busy", "under way"),
            drill.snapshot,
            drill.fell_back_to,
            drill.reason,
        )
        for drill in town.drills.all()[:ROWS]
    ]
    heads = ("Began", "Result", "Snapshot", "Fell back to", "Why")
    return Table("Restore drills", heads, rows, _more("drill", town))
