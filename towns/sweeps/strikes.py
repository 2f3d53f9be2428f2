"""What a check changes in its town: strikes, episodes, statuses with their events."""

from datetime import datetime

from towns import history
from towns.facts import fill_use
from towns.history import Actor
from towns.models import HealthCheck, LifecycleEvent, Town
from towns.models.health import FIGURES
from towns.policy import HealthRules, Judgement
from towns.probe import HealthReport, Probe
from towns.sweeps.flaps import FIELDS, Flaps
from towns.words import CheckResult, FailureKind, Status

ACTOR = Actor.automation("sweep:health")
SAVED = (
    "last_checked_at",
    "last_slot",
    "last_result",
    "last_ok_at",
    "last_heartbeat_at",
    "last_backup_at",
    "health",
    "consecutive_failures",
    "episode_since",
    "failure_kind",
    "failure_reason",
    "status",
    "status_reason",
    "status_since",
    "status_event",
    *FIELDS,
)
"""The columns of a town that a check may change."""


def new_check(
    town: Town, probe: Probe, judgement: Judgement, slot: datetime | None, now: datetime
) -> HealthCheck:
    """An unsaved check of a town that was probed."""
    check = HealthCheck(
        town=town,
        slot=slot,
        checked_at=now,
        result=judgement.result,
        kind=judgement.kind or "",
        reason=judgement.reason,
        latency_ms=probe.latency_ms,
    )
    fill_use(check, town, now)
    if probe.report is not None and judgement.kind != FailureKind.WRONG_TOWN:
        fill_figures(check, probe.report)
    return check


def fill_figures(check: HealthCheck, report: HealthReport) -> None:
    """Copy a report's figures into an unsaved check."""
    check.heartbeat_at = report.daemon_heartbeat_at
    for name in FIGURES:
        setattr(check, name, getattr(report, name))


def apply_check(
    town: Town,
    check: HealthCheck,
    report: HealthReport | None,
    rules: HealthRules,
    flaps: Flaps,
    now: datetime,
) -> LifecycleEvent | None:
    """Change the town in memory by what the check says; returns the event to be saved with it."""
    town.last_checked_at, town.last_result = now, check.result
    if check.slot is not None:
        town.last_slot = check.slot
    if check.result == CheckResult.UNKNOWN:
        return None
    if check.daemon_running is not None:
        town.health = check.figures()
        town.last_heartbeat_at = check.heartbeat_at or town.last_heartbeat_at
    if check.result == CheckResult.FAILED:
        flaps.failed(town, first=town.episode_since is None)
        return _strike(town, check, rules, now)
    town.last_ok_at = now
    if report is not None and report.backup_at is not None and report.backup_at <= now:
        town.last_backup_at = max(filter(None, (town.last_backup_at, report.backup_at)))
    flaps.well(town, closed=town.episode_since is not None)
    return _close_episode(town, now)


def _strike(
    town: Town, check: HealthCheck, rules: HealthRules, now: datetime
) -> LifecycleEvent | None:
    town.consecutive_failures += 1
    town.episode_since = town.episode_since or now
    town.failure_kind, town.failure_reason = check.kind, check.reason
    if town.consecutive_failures < rules.strikes or town.status != Status.RUNNING:
        return None
    return history.new_event(
        town,
        "unhealthy",
        actor=ACTOR,
        now=now,
        reason=f"{town.consecutive_failures} checks in a row failed: {check.reason}",
        data={
            "rule": f"{rules.strikes} failures in a row",
            "failures": town.consecutive_failures,
            "since": town.episode_since.isoformat(),
            "kind": check.kind,
        },
        to_status=Status.UNHEALTHY,
    )


def _close_episode(town: Town, now: datetime) -> LifecycleEvent | None:
    since, failures = town.episode_since, town.consecutive_failures
    cause = town.failure_kind
    town.consecutive_failures, town.episode_since = 0, None
    town.failure_kind = town.failure_reason = ""
    if since is None and town.status == Status.RUNNING:
        return None
    downtime = round((now - since).total_seconds()) if since else None
    return history.new_event(
        town,
        "recovered" if town.status == Status.UNHEALTHY else "episode_closed",
        actor=ACTOR,
        now=now,
        reason=f"healthy again after {failures} failed checks",
        data={"cause": cause, "downtime_seconds": downtime, "failures": failures},
        to_status=Status.RUNNING if town.status == Status.UNHEALTHY else None,
    )
