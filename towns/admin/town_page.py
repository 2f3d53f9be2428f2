"""What a town's page shows beside its form: its latest history, in tables of bounded length."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.urls import reverse
from django.utils.safestring import SafeString

from towns.admin.health_check import polecats
from towns.admin.operation import steps_table
from towns.admin.town_actions import ACTIONS, TownAction, may, may_discard, previews
from towns.display import operation_link, tag, when
from towns.models import Operation, Town
from towns.presenting import open_operation
from towns.readable import size, used
from towns.why import why

ROWS = 10


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page; `more` leads to the whole list."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: str


@dataclass(frozen=True, slots=True)
class Button:
    """An action on this town; `why_not` is set where it can't be done now."""

    action: TownAction
    url: str
    why_not: str


def page_context(
    town: Town, user: AbstractBaseUser | AnonymousUser, now: datetime
) -> dict[str, Any]:
    """What the template needs. Reads only."""
    operation = open_operation(town)
    return {
        "ops_buttons": _buttons(town, user, now),
        "ops_why": list(why(town, now).parts(now)),
        "ops_operation": operation,
        "ops_steps": None if operation is None else steps_table(operation),
        "ops_tables": [
            _events(town, now),
            _operations(town, now),
            _checks(town, now),
            _backups(town, now),
            _drills(town, now),
            _alerts(town, now),
        ],
    }


def _buttons(town: Town, user: AbstractBaseUser | AnonymousUser, now: datetime) -> list[Button]:
    buttons = []
    for action in ACTIONS.values():
        if may(user, action):
            discard = may_discard(user)
            [(_, told)] = previews(action, [town], now, discard=discard)
            url = reverse("admin:towns_town_act", args=[action.name]) + f"?towns={town.pk}"
            buttons.append(Button(action, url, "" if told.allowed else told.text))
    return buttons


def _more(model: str, town: Town) -> str:
    return reverse(f"admin:towns_{model}_changelist") + f"?town__id__exact={town.pk}"


def _events(town: Town, now: datetime) -> Table:
    rows = [
        (
            when(event.at, now),
            event.kind.replace("_", " "),
            tag(event.to_status) if event.to_status else "",
            f"{event.actor} (automatic)" if event.automatic else event.actor,
            event.reason,
        )
        for event in town.events.all()[: 2 * ROWS]
    ]
    heads = ("When", "What", "Status", "Who", "Why")
    return Table("Events", heads, rows, _more("lifecycleevent", town))


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


def _checks(town: Town, now: datetime) -> Table:
    rows: list[tuple[SafeString | str, ...]] = [
        (
            when(check.checked_at, now),
            tag(check.result),
            check.reason,
            polecats(check.polecats_active, check.polecats_total),
            used(check.disk_used, check.disk_total),
        )
        for check in town.health_checks.order_by("-checked_at")[:ROWS]
    ]
    heads = ("When", "Result", "Reason", "Polecats", "Disk")
    return Table("Health checks", heads, rows, _more("healthcheck", town))


def _backups(town: Town, now: datetime) -> Table:
    rows = [
        (
            when(backup.created_at, now),
            backup.snapshot,
            backup.kind + (", held back" if backup.held else ""),
            when(backup.verified_at, now),
            size(backup.bytes),
            "gone" if backup.gone_at else "in R2",
        )
        for backup in town.backups.all()[:ROWS]
    ]
    heads = ("Made", "Snapshot", "Kind", "Verified", "Size", "Where")
    return Table("Verified backups", heads, rows, _more("backup", town))


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


def _alerts(town: Town, now: datetime) -> Table:
    rows = [
        (
            when(alert.opened_at, now),
            tag(alert.severity),
            alert.cause.replace("_", " "),
            alert.message,
            when(alert.resolved_at, now) if alert.resolved_at else "open",
        )
        for alert in town.alerts.all()[:ROWS]
    ]
    heads = ("Opened", "Severity", "Cause", "Message", "Resolved")
    return Table("Alerts", heads, rows, _more("alert", town))
