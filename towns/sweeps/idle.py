"""The idle sweep (product.md 1.4): stops who has no work and no visitor, and says why not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from towns import actions, history
from towns.facts import idle_facts
from towns.history import Actor
from towns.models import LifecycleEvent, Operation, Sweep, Town
from towns.policy import IdleRules, awake_because, idle_stop_at
from towns.rules import idle_rules
from towns.services import Services
from towns.standing import HeldBack, Standing, not_held, read_standing
from towns.sweeps import dead_man
from towns.sweeps.slots import about_sweep, finish_sweep, open_sweep
from towns.words import Status, StopReason

ACTOR = Actor.automation("sweep:idle")
BATCH = 500


@dataclass(frozen=True, slots=True)
class IdleDecision:
    """What was decided about one town: it is stopped, or what holds it awake, until when."""

    town: Town
    stops: bool
    held: list[str]
    stop_at: datetime | None
    why: str = ""
    held_back: HeldBack | None = None

    def as_json(self) -> dict[str, Any]:
        """For the command."""
        return {
            "town": str(self.town),
            "id": str(self.town.pk),
            "stops": self.stops,
            "awake_because": self.held,
            "idle_stop_at": self.stop_at.isoformat() if self.stop_at else None,
            "why": self.why,
        }


@dataclass(slots=True)
class IdleReport:
    """What the sweep did; only decisions to stop are kept for a whole fleet."""

    slot: datetime | None = None
    looked_at: int = 0
    stopped: int = 0
    decisions: list[IdleDecision] = field(default_factory=list)
    note: str = ""


def sweep_idle(
    services: Services,
    *,
    slot: datetime | None = None,
    towns: Sequence[Town] | None = None,
    dry_run: bool = False,
    on_town: Callable[[], object] = lambda: None,
) -> IdleReport:
    """Stop the idle: of the whole fleet once in a `slot`, or just the named `towns` now.

    `on_town` hears of each town that was looked at.
    """
    with about_sweep(Sweep.Kind.IDLE, slot):
        return _sweep_idle(services, slot, towns, dry_run, on_town)


def _sweep_idle(
    services: Services,
    slot: datetime | None,
    towns: Sequence[Town] | None,
    dry_run: bool,
    on_town: Callable[[], object],
) -> IdleReport:
    now = services.clock.now()
    report = IdleReport(slot)
    sweep = None
    if slot is not None and not dry_run:
        period = settings.GASTOWN_IDLE_PERIOD_SECONDS
        sweep = open_sweep(Sweep.Kind.IDLE, slot, period_seconds=period, now=now)
        if sweep is None:
            report.note = "This slot was swept already, or is being swept."
            return report
    rules, standing = idle_rules(), read_standing(now)
    report.note = standing.frozen(now) or ""
    for part in _running(towns, now):
        kept: list[IdleDecision] = []
        for town in part:
            report.looked_at += 1
            on_town()
            decision = decide(town, now, rules, standing)
            if decision.stops and not dry_run:
                decision = _stop(decision, now)
            elif decision.held_back is not None:
                kept.append(decision)
            report.stopped += decision.stops
            if decision.stops or towns is not None or dry_run:
                report.decisions.append(decision)
        if not dry_run:
            _tell_not_stopped(kept, now)
    if sweep is not None:
        summary = {
            "looked_at": report.looked_at,
            "stopped": report.stopped,
            "asleep": asleep().count(),
            "note": report.note,
        }
        if finish_sweep(sweep, services.clock.now(), towns=report.looked_at, summary=summary):
            dead_man.after_sweep(sweep.kind, summary)
    return report


def _running(towns: Sequence[Town] | None, now: datetime) -> Iterator[list[Town]]:
    """Towns that run with no operation under way, in batches by key."""
    busy = Operation.owning().values("town_id")
    found = (
        Town.objects.filter(status=Status.RUNNING)
        .exclude(pk__in=busy)
        .select_related("owner")
        .order_by("pk")
    )
    if towns is not None:
        yield list(found.filter(pk__in=[town.pk for town in towns]))
        return
    yield from _in_batches(found.filter(not_held(now), auto_stop=True))


def count_running(now: datetime) -> int:
    """About how many towns a sweep looks at, for whoever shows its progress."""
    return Town.objects.filter(not_held(now), status=Status.RUNNING, auto_stop=True).count()


def asleep() -> QuerySet[Town]:
    """The towns that sleep for being idle."""
    return Town.objects.filter(status=Status.STOPPED, stop_reason=StopReason.IDLE)


def _in_batches(found: QuerySet[Town]) -> Iterator[list[Town]]:
    part = list(found[:BATCH])
    while part:
        yield part
        part = list(found.filter(pk__gt=part[-1].pk)[:BATCH])


def decide(town: Town, now: datetime, rules: IdleRules, standing: Standing) -> IdleDecision:
    """Whether a town that runs is stopped for being idle now, and why not. Changes nothing."""
    facts = idle_facts(town)
    held = [hold.value for hold in awake_because(facts, now, rules)]
    stop_at = idle_stop_at(facts, now, rules)
    if held:
        return IdleDecision(town, False, held, stop_at)
    if back := standing.held_back(town, now):
        return IdleDecision(town, False, held, stop_at, back[0].why, back[0])
    return IdleDecision(town, True, held, stop_at, _why(town))


def _tell_not_stopped(decisions: Sequence[IdleDecision], now: datetime) -> None:
    """Record who is idle and was not stopped, and why: each reason once for as long as it is idle,
    in two statements."""
    since = {one.town.pk: one.stop_at for one in decisions if one.stop_at is not None}
    if not since:
        return
    told = {
        (event.town_id, event.reason)
        for event in LifecycleEvent.objects.filter(
            town__in=list(since), kind="not_stopped", at__gte=min(since.values())
        )
        if event.at >= since[event.town_id]
    }
    LifecycleEvent.objects.bulk_create(
        history.new_event(
            one.town, "not_stopped", actor=ACTOR, now=now, reason=one.why, data=_inputs(one.town)
        )
        for one in decisions
        if (one.town.pk, one.why) not in told
    )


def _why(town: Town) -> str:
    return (
        f"no active polecats and no interaction for over {town.idle_timeout_minutes} min"
        if town.last_interaction_at
        else f"no active polecats and nobody came for over {town.idle_timeout_minutes} min"
    )


def _stop(decision: IdleDecision, now: datetime) -> IdleDecision:
    """Ask for the stop, with the inputs of the rule; the flow looks again before it acts."""
    town = decision.town
    try:
        actions.request_stop(
            town.pk, actor=ACTOR, now=now, reason=decision.why, idle=True, data=_inputs(town)
        )
    except actions.NotAllowed as error:  # somebody was faster
        return IdleDecision(town, False, decision.held, decision.stop_at, error.reason)
    return decision


def _inputs(town: Town) -> dict[str, Any]:
    return {
        "rule": "idle",
        "idle_timeout_minutes": town.idle_timeout_minutes,
        "last_interaction_at": _iso(town.last_interaction_at),
        "last_interaction_kind": town.last_interaction_kind,
        "polecats_active": town.figure("polecats_active"),
        "checked_at": _iso(town.last_checked_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
