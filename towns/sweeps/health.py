"""The health sweep (product.md 1.1): what it is of, how it ends, and sweeps by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from towns import automation
from towns.models import Sweep, Town
from towns.services import Services
from towns.sweeps import chunks, dead_man
from towns.sweeps.observing import Observation, due_towns, observe
from towns.sweeps.restarts import Decision, decide_restarts, update_breakers
from towns.sweeps.running import Runner
from towns.sweeps.slots import about_sweep, finish_sweep, open_sweep
from towns.sweeps.storing import store
from towns.sweeps.tally import Tally

Progress = Callable[[int], None]


@dataclass(slots=True)
class SweepReport:
    """What a sweep by hand did; `observations` are kept where they are few or asked for."""

    slot: datetime | None = None
    results: dict[str, int] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    note: str = ""

    @property
    def unhandled(self) -> int:
        """Towns that could not be asked."""
        return self.results.get("unknown", 0)


def begin_sweep(slot: datetime, now: datetime) -> Sweep | None:
    """Split the fleet into chunks of towns by key ranges; None when there is nothing to begin."""
    period = settings.GASTOWN_HEALTH_PERIOD_SECONDS
    with about_sweep(Sweep.Kind.HEALTH, slot), transaction.atomic():
        sweep = open_sweep(Sweep.Kind.HEALTH, slot, period_seconds=period, now=now)
        if sweep is None or sweep.chunks.exists():
            return sweep
        sweep.towns = chunks.split(sweep)
        sweep.save(update_fields=["towns"])
    return sweep


def conclude(sweep: Sweep, services: Services) -> list[Decision]:
    """Once all chunks are done, and once only: judge the fleet, and restart whom it allows."""
    with about_sweep(sweep.kind, sweep.slot):
        return _conclude(sweep, services)


def _conclude(sweep: Sweep, services: Services) -> list[Decision]:
    done = Sweep.objects.filter(pk=sweep.pk, finished_at__isnull=False).exists()
    if done or sweep.chunks.filter(finished_at=None).exists():
        return []
    tally = Tally()
    for counts in sweep.chunks.values_list("counts", flat=True):
        tally.add_json(counts)
    now = services.clock.now()
    automation.end_what_is_over(now)
    # Before the sweep counts as concluded: who is killed here must not have a mass failure
    # forgotten, and judging the same sweep twice changes nothing.
    update_breakers(tally, services, now, since=sweep.started_at)
    summary = {**tally.as_json(), "blind": tally.blind}
    if not finish_sweep(sweep, now, summary=summary):
        return []
    decisions = decide_restarts(services, now)
    dead_man.after_sweep(sweep.kind, summary)
    return decisions


def sweep_fleet(
    slot: datetime, services: Services, *, on_towns: Progress = lambda _count: None
) -> SweepReport:
    """The whole sweep of a slot in this process, for the command; `on_towns` hears of progress."""
    sweep = begin_sweep(slot, services.clock.now())
    if sweep is None:
        return SweepReport(slot, note="This slot was swept already, or is being swept.")
    report = SweepReport(slot)

    def add(tally: Tally) -> None:
        for name, towns in tally.results.items():
            report.results[name] = report.results.get(name, 0) + towns
        on_towns(tally.results.total())

    runner = Runner(sweep, services, stored=add)
    runner.run()
    for error in runner.errors:
        raise error
    report.decisions = conclude(sweep, services)
    if sweep.chunks.filter(finished_at=None).exists():
        report.note = "Workers have the rest of this sweep under way."
    return report


def sweep_named(towns: Sequence[Town], services: Services) -> SweepReport:
    """Probe just these, at once, whatever the slot; restarts follow as from any sweep."""
    if not towns:
        return SweepReport()
    due = due_towns(pk__in=[town.pk for town in towns])
    with about_sweep(Sweep.Kind.HEALTH, None):
        observations = observe(due, services)
        now = services.clock.now()
        tally = store(observations, slot=None, now=now)
        tally.results["skipped"] += len(towns) - len(due)
        decisions = decide_restarts(services, now, only=[town.pk for town in due])
    return SweepReport(None, dict(tally.results), observations, decisions)


def look_only(
    services: Services,
    towns: Sequence[Town] | None = None,
    *,
    on_towns: Progress = lambda _count: None,
) -> SweepReport:
    """A dry run: probe and judge, store nothing, request nothing."""
    named = {} if towns is None else {"pk__in": [town.pk for town in towns]}
    due = due_towns(**named)
    report = SweepReport()
    size = settings.GASTOWN_SWEEP_CHUNK_SIZE
    for begin in range(0, len(due), size):
        seen = observe(due[begin : begin + size], services)
        report.observations += seen
        on_towns(len(seen))
    for one in report.observations:
        name = one.judgement.result.value
        report.results[name] = report.results.get(name, 0) + 1
    if towns is not None:
        report.results["skipped"] = len(towns) - len(due)
    return report


def facts_of(observation: Observation) -> dict[str, Any]:
    """An observation as JSON, for the commands."""
    return {
        "town": str(observation.town),
        "id": str(observation.town.pk),
        "result": observation.judgement.result.value,
        "kind": observation.judgement.kind.value if observation.judgement.kind else None,
        "reason": observation.judgement.reason,
        "latency_ms": observation.probe.latency_ms,
    }
