"""The replay: the towns of a span decided again, a few at a time, and summed up.

It goes back as far as health checks are kept. The hourly figures that outlive them tell neither
when somebody came nor which checks failed in a row: by them nothing can be decided.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from towns.changes import InvalidChange
from towns.models import Sweep, Town
from towns.replay import reading
from towns.replay.breakers import breaker_spans
from towns.replay.idle import IdleReplay
from towns.replay.outcome import Stop, Totals, TownOutcome
from towns.replay.past import Pauses, TownPast
from towns.replay.restarts import RestartReplay, in_span
from towns.replay.scenario import Scenario

LEAD = timedelta(hours=1)
"""History is read from so long before the span and the longest timeout, so that what it begins with
is decided rather than guessed."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay of the days before `until`, for any towns: what holds for all of them is read once,
    by `prepare`."""

    scenario: Scenario
    since: datetime
    until: datetime
    begins: datetime
    period: timedelta
    moments: Sequence[datetime] = ()
    pauses: Pauses = field(default_factory=Pauses)

    def outcomes(self, towns: Sequence[Town]) -> Iterator[TownOutcome]:
        """Decide some towns again, in a fixed number of statements."""
        for past in reading.read_pasts(towns, self.begins, self.until, self.pauses):
            yield self.decide(past)

    def decide(self, past: TownPast) -> TownOutcome:
        """One town. Pure."""
        idle = IdleReplay(past, self.scenario)
        idle.run(self.moments, self.until)
        restarts = RestartReplay(past, self.scenario, self.period)
        restarts.run()
        inside = [seen for seen in past.checks if seen.at >= self.since]
        known = [seen.at for seen in inside if seen.connected is not None]

        def times(moments: Sequence[datetime]) -> tuple[datetime, ...]:
            return in_span(moments, self.since, self.until)

        return TownOutcome(
            town=past.town,
            name=past.name,
            stopped=self._inside(idle.stopped),
            would_stop=self._inside(idle.would_stop),
            restarted=times(restarts.restarted),
            would_restart=times(restarts.would_restart),
            given_up=times(restarts.given_up),
            would_give_up=times(restarts.would_give_up),
            asleep_seconds=self._asleep(idle.stopped),
            would_sleep_seconds=self._asleep(idle.would_stop),
            checks=len(inside),
            checks_without_use=len(inside) - len(known),
            use_known_since=known[0] if known else None,
        )

    def _inside(self, stops: Sequence[Stop]) -> tuple[Stop, ...]:
        return tuple(one for one in stops if self.since <= one.at <= self.until)

    def _asleep(self, stops: Sequence[Stop]) -> float:
        return sum(one.asleep(self.since, self.until) for one in stops)


def validated_days(days: int) -> int:
    """How many days can be replayed; else InvalidChange."""
    most = settings.GASTOWN_KEEP_CHECKS_DAYS
    if not 1 <= days <= most:
        raise InvalidChange(
            "days",
            f"A replay goes back 1 to {most} days, not {days}: so long health checks are kept "
            "(GASTOWN_KEEP_CHECKS_DAYS).",
        )
    return days


def prepare(scenario: Scenario, *, now: datetime, days: int) -> Replay:
    """Read what holds for all towns, in at most five statements."""
    since = now - timedelta(days=validated_days(days))
    longest = max(settings.GASTOWN_IDLE_TIMEOUT_MAX_MINUTES, scenario.every_timeout or 0)
    begins = since - timedelta(minutes=longest) - LEAD
    breakers = None
    if scenario.breakers_changed:
        breakers = breaker_spans(_counted(begins, now), scenario.health)
    return Replay(
        scenario=scenario,
        since=since,
        until=now,
        begins=begins,
        period=timedelta(seconds=settings.GASTOWN_HEALTH_PERIOD_SECONDS),
        moments=reading.idle_moments(begins, now),
        pauses=reading.read_pauses(begins, breakers),
    )


def _counted(begins: datetime, until: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
    sweeps = Sweep.objects.filter(
        kind=Sweep.Kind.HEALTH, started_at__gte=begins, finished_at__lte=until
    )
    rows = sweeps.order_by("started_at").values_list("finished_at", "summary")
    return ((at, summary.get("shares", {})) for at, summary in rows.iterator() if at is not None)


def replay(
    ready: Replay,
    *,
    only: Sequence[UUID] | None = None,
    on_towns: Callable[[int], object] = lambda _count: None,
) -> Totals:
    """Replay the whole fleet, or the named towns, in this process; `on_towns` hears of progress."""
    totals = Totals()
    found, after = reading.towns_of(ready.since, only), None
    while towns := reading.next_towns(found, after):
        for one in ready.outcomes(towns):
            totals.add(one, ready.scenario.wrong_within, named=only is not None)
        after = towns[-1].pk
        on_towns(len(towns))
    totals.trim()
    return totals
