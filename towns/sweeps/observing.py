"""Probing some towns and storing what came of it, in a fixed number of statements."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from towns import addresses, automation, history
from towns.bulk import update_rows
from towns.facts import fill_use
from towns.history import Actor
from towns.models import HealthCheck, LifecycleEvent, Operation, Town
from towns.policy import HealthRules, Judgement, Share, answered, judge
from towns.probe import HealthReport, Probe
from towns.rules import health_rules
from towns.services import Services
from towns.sweeps.flaps import FIELDS, Flaps
from towns.sweeps.warnings import Warned, update_warnings
from towns.words import ACTIVE, CheckResult, FailureKind, Status

ACTOR = Actor.automation("sweep:health")
_SAVED = (
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


@dataclass(frozen=True, slots=True)
class Observation:
    """One town as it was when it was asked, what it said, and what that proves."""

    town: Town
    probe: Probe
    judgement: Judgement


@dataclass(slots=True)
class Tally:
    """What a sweep counted; `shares` by breaker scope."""

    results: Counter[str] = field(default_factory=Counter)
    shares: defaultdict[str, Share] = field(default_factory=lambda: defaultdict(Share))

    @property
    def blind(self) -> bool:
        """Whether nothing is known of any town that was asked."""
        known = self.results[CheckResult.OK.value] + self.results[CheckResult.FAILED.value]
        return self.results[CheckResult.UNKNOWN.value] > 0 and not known

    def as_json(self) -> dict[str, Any]:
        """For `SweepChunk.counts`."""
        shares = {s: [v.probed, v.newly_failing, v.failing] for s, v in self.shares.items()}
        return {"results": dict(self.results), "shares": shares}

    def add_json(self, counts: dict[str, Any]) -> None:
        """Add what another chunk counted."""
        self.results.update(counts.get("results", {}))
        for scope, numbers in counts.get("shares", {}).items():
            self.shares[scope] += Share(*numbers)


def observe(towns: Sequence[Town], services: Services) -> list[Observation]:
    """Probe towns at the same time, outside of any transaction, and judge the answers."""
    probes = services.sandbox.probe_many(
        [addresses.sandbox_address(town) for town in towns],
        concurrency=settings.GASTOWN_PROBE_CONCURRENCY,
    )
    online = not probes or any(map(answered, probes)) or _is_online(services)
    return [
        Observation(
            town,
            probe,
            judge(probe, town_id=str(town.pk), machine_id=town.machine_id, online=online),
        )
        for town, probe in zip(towns, probes, strict=True)
    ]


def _is_online(services: Services) -> bool:
    """Nobody answered us: is it our own network? Fly and R2 are asked, once."""
    return services.fly.ping() or services.r2.ping()


@transaction.atomic
def store(observations: Sequence[Observation], *, slot: datetime | None, now: datetime) -> Tally:
    """Store checks, count strikes, change statuses with their events, all in one transaction.

    1. Lock the towns and read them again: what an operation owns by now is unknown.
    2. Decide each; whoever has a check for the slot already is skipped.
    3. Write checks, events and towns in bulk.
    """
    tally, rules = Tally(), health_rules()
    ids = [one.town.pk for one in observations]
    towns = {
        town.pk: town
        for town in Town.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    }
    taken = set(Operation.owning().filter(town__in=ids).values_list("town_id", flat=True))
    changed, checks, events, warned = [], [], [], []
    flaps = Flaps(ACTOR, now)
    for one in observations:
        town = towns[one.town.pk]
        if slot is not None and town.last_slot == slot:
            tally.results["skipped"] += 1
            continue
        judgement = one.judgement
        if town.pk in taken or _is_another(town, one.town):
            judgement = Judgement(
                CheckResult.UNKNOWN, FailureKind.OPERATION_BEGAN, "An operation began meanwhile."
            )
        check = _check(town, one.probe, judgement, slot, now)
        _count(tally, town, judgement)
        event = apply_check(town, check, one.probe.report, rules, flaps, now)
        changed.append(town)
        checks.append(check)
        if event is not None:
            events.append((town, event))
        if judgement.result == CheckResult.OK and one.probe.report is not None:
            warned.append(Warned(town, one.probe.report))
    HealthCheck.objects.bulk_create(checks)
    LifecycleEvent.objects.bulk_create([*(event for _, event in events), *flaps.events])
    for town, event in events:
        if event.to_status:
            history.apply_status(town, event)
    update_rows(changed, _SAVED)
    update_warnings(warned, now)
    flaps.save()
    return tally


def _is_another(now_town: Town, asked: Town) -> bool:
    return Status(now_town.status) not in ACTIVE or now_town.machine_id != asked.machine_id


def _check(
    town: Town, probe: Probe, judgement: Judgement, slot: datetime | None, now: datetime
) -> HealthCheck:
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
    check.daemon_running = report.daemon_running
    check.dolt_running = report.dolt_running
    check.tmux_sessions = report.tmux_sessions
    check.polecats_active = report.polecats_active
    check.polecats_total = report.polecats_total
    check.merge_queue = report.merge_queue
    check.disk_used = report.disk_used
    check.disk_total = report.disk_total
    check.memory_used = report.memory_used
    check.memory_total = report.memory_total
    check.cpu_ratio = report.cpu_ratio


def _count(tally: Tally, town: Town, judgement: Judgement) -> None:
    tally.results[judgement.result.value] += 1
    if judgement.result == CheckResult.UNKNOWN:
        return
    failing = judgement.result == CheckResult.FAILED
    newly = failing and town.consecutive_failures == 0
    for scope in automation.scopes(town):
        tally.shares[scope] += Share(1, int(newly), int(failing))


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


def due_towns(**where: Any) -> list[Town]:
    """The towns that are due for a probe, narrowed by a look-up such as `pk__in`, by id."""
    busy = Operation.owning().values("town_id")
    active = Town.objects.filter(status__in=ACTIVE, **where).exclude(machine_id="")
    return list(active.exclude(pk__in=busy).select_related("owner").order_by("pk"))
