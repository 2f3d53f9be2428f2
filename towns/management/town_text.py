"""What the command `town` prints of a town, for people."""

from collections.abc import Sequence
from datetime import datetime

from towns.facts import idle_facts
from towns.fly_apps import app_of, presumed
from towns.management.base import table
from towns.models import Drill, Operation, Town
from towns.policy import awake_because, idle_stop_at, is_held
from towns.presenting import open_operation
from towns.readable import ago, used, utc
from towns.rules import idle_rules
from towns.words import ACTIVE, Status

WIDTH = 22
"""Of the first column of `town show`."""


def list_lines(towns: Sequence[Town], now: datetime) -> list[str]:
    """A line for each town. Names that are not very long fit in 80 columns."""
    rows = [
        (town, town.status, health(town), ago(town.last_interaction_at, now), town.region)
        for town in towns
    ]
    return table(rows, ("TOWN", "STATUS", "HEALTH", "INTERACTION", "REGION"))


def town_lines(town: Town, now: datetime, drill: Drill | None = None) -> list[str]:
    """All about one town; what there is nothing to say of is left out."""
    told = [
        ("town", f"{town}  ({town.pk})"),
        ("status", f"{town.status}, {ago(town.status_since, now)}. {town.status_reason}"),
        ("wanted", f"{town.desired_state}{_why_stopped(town)}"),
        ("under way", _under_way(open_operation(town), now)),
        ("health", f"{health(town)}, checked {ago(town.last_checked_at, now)}"),
        ("failing", town.failure_reason),
        *_awake(town, now),
        ("last interaction", f"{ago(town.last_interaction_at, now)} {town.last_interaction_kind}"),
        ("idle timeout", f"{town.idle_timeout_minutes} min, auto-stop {_on(town.auto_stop)}"),
        ("kept awake until", utc(town.keep_awake_until) if town.keep_awake_until else ""),
        ("on hold", _hold(town, now)),
        ("last backup", f"{ago(town.last_backup_at, now)} {town.last_snapshot}"),
        ("last drill", _drilled(drill, now)),
        ("disk", used(town.figure("disk_used"), town.figure("disk_total"))),
        ("Fly app", presumed(app_of(town))),
        ("machine", f"{town.machine_id or 'none'} in {town.region}"),
        ("volume", town.volume_id or "none"),
        ("can be restored until", utc(town.restore_until) if town.restore_until else ""),
    ]
    return [f"{name:{WIDTH}} {text.strip()}" for name, text in told if text.strip()]


def health(town: Town) -> str:
    """The last check, and how many have failed in a row: `failed 3x`."""
    failures = town.consecutive_failures
    return f"{town.last_result or '-'} {failures}x" if failures else town.last_result or "-"


def _why_stopped(town: Town) -> str:
    return f" (stopped: {town.stop_reason})" if town.stop_reason else ""


def _awake(town: Town, now: datetime) -> list[tuple[str, str]]:
    if Status(town.status) not in ACTIVE:
        return []
    facts, rules = idle_facts(town), idle_rules()
    held = ", ".join(str(hold) for hold in awake_because(facts, now, rules)).replace("_", " ")
    at = idle_stop_at(facts, now, rules)
    stops = "not while it is held awake" if at is None else f"{utc(at)} ({ago(at, now)})"
    return [("awake because of", held or "nothing: it is idle"), ("stops at", stops)]


def _hold(town: Town, now: datetime) -> str:
    if not is_held(town.hold_reason, town.hold_until, now):
        return ""
    ends = utc(town.hold_until) if town.hold_until else "it is released"
    return f"{town.hold_reason} (until {ends})"


def _under_way(operation: Operation | None, now: datetime) -> str:
    if operation is None:
        return ""
    tries = f", failed {operation.attempt}x" if operation.attempt else ""
    step = operation.step.replace("_", " ")
    since = ago(operation.created_at, now)
    return f"{operation.kind}, asked for {since}: {step}{tries}. {operation.message}"


def _drilled(drill: Drill | None, now: datetime) -> str:
    if drill is None:
        return "never: nobody knows whether its backup restores"
    return f"{drill.result}, {ago(drill.finished_at, now)}. {drill.reason}"


def _on(value: bool) -> str:
    return "on" if value else "off"
