"""What goes on: sweeps, operations, automatic restarts, and how Fly and R2 answer as we see it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min, Q

from towns.budgets import restarts_under_way
from towns.models import Operation, Sweep
from towns.words import OperationKind, OperationState

_PERIODS = {
    Sweep.Kind.HEALTH: "GASTOWN_HEALTH_PERIOD_SECONDS",
    Sweep.Kind.IDLE: "GASTOWN_IDLE_PERIOD_SECONDS",
    Sweep.Kind.RECONCILE: "GASTOWN_RECONCILE_PERIOD_SECONDS",
    Sweep.Kind.BACKUPS: "GASTOWN_BACKUPS_PERIOD_SECONDS",
}
LATE_PERIODS = 2
"""A sweep whose last good slot is older than so many periods is late."""


@dataclass(frozen=True, slots=True)
class SweepState:
    """The last sweep of a kind that was done; None where none ever was."""

    kind: str
    slot: datetime | None = None
    seconds: float | None = None
    towns: int = 0
    lag: timedelta | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Operations that are open, by kind: how many, and how many of them are due now."""

    kinds: list[tuple[str, int, int]]
    longest_due: timedelta | None

    @property
    def total(self) -> int:
        """All that are open."""
        return sum(count for _, count, _ in self.kinds)

    @property
    def due(self) -> int:
        """All that wait for a worker."""
        return sum(due for _, _, due in self.kinds)


@dataclass(frozen=True, slots=True)
class Restarts:
    """Automatic restarts: those under way, of how many at once, and those of the window."""

    under_way: int
    at_once: int
    in_window: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Platform:
    """How Fly or R2 answers, as the last sweep that asked it saw."""

    name: str
    well: bool | None
    told: str
    at: datetime | None


def read_sweeps(now: datetime) -> list[SweepState]:
    """The state of each kind of sweep: one statement a kind. A blind one, which saw nothing of Fly,
    is no sweep that was done."""
    return [_state(kind, _last(kind, blind=False), now) for kind in _PERIODS]


def _last(kind: str, *, blind: bool = True) -> Sweep | None:
    """The last that was done; without `blind` ones, if they don't count."""
    done = Sweep.objects.filter(kind=kind, finished_at__isnull=False)
    done = done.exclude(summary__has_key="given_up")
    if not blind:
        done = done.filter(Q(summary__blind=False) | Q(summary__blind__isnull=True))
    return done.order_by("-slot").first()


def _state(kind: str, sweep: Sweep | None, now: datetime) -> SweepState:
    if sweep is None or sweep.finished_at is None:
        return SweepState(kind)
    period = timedelta(seconds=getattr(settings, _PERIODS[Sweep.Kind(kind)]))
    return SweepState(
        kind,
        sweep.slot,
        (sweep.finished_at - sweep.started_at).total_seconds(),
        sweep.towns,
        sweep.started_at - sweep.slot,
        late=now - sweep.slot > LATE_PERIODS * period,
    )


def read_under_way(now: datetime) -> UnderWay:
    """One statement on the index of what is open."""
    due = Q(due_at__lte=now) & (Q(lease_until=None) | Q(lease_until__lte=now))
    rows = list(
        Operation.objects.filter(state=OperationState.OPEN)
        .order_by()
        .values("kind")
        .annotate(count=Count("pk"), due=Count("pk", filter=due), oldest=Min("due_at", filter=due))
    )
    kinds = sorted((row["kind"], row["count"], row["due"]) for row in rows)
    oldest = min((row["oldest"] for row in rows if row["oldest"]), default=None)
    return UnderWay(kinds, None if oldest is None else now - oldest)


def read_restarts(now: datetime) -> Restarts:
    """Two statements; what is under way is what the budget counts, recoveries too."""
    window = timedelta(minutes=settings.GASTOWN_RESTART_WINDOW_MINUTES)
    begun = Operation.objects.filter(
        kind=OperationKind.RESTART, automatic=True, created_at__gte=now - window
    )
    limit: int = settings.GASTOWN_RESTARTS_AT_ONCE
    return Restarts(restarts_under_way(), limit, begun.count(), window)


def read_platforms() -> list[Platform]:
    """What the last reconciliation saw of Fly, and the last sweep of backups of R2."""
    return [_fly(_last(Sweep.Kind.RECONCILE)), _r2(_last(Sweep.Kind.BACKUPS))]


def _fly(sweep: Sweep | None) -> Platform:
    if sweep is None:
        return Platform("Fly", None, "not asked yet", None)
    summary = sweep.summary
    blind, note = summary.get("blind", False), summary.get("note", "")
    silent = summary.get("blind_apps", []) if not blind else []
    told = (note or "no list") if blind or silent else "answers"
    return Platform("Fly", not (blind or silent), told, sweep.finished_at)


def _r2(sweep: Sweep | None) -> Platform:
    if sweep is None:
        return Platform("R2", None, "not asked yet", None)
    unknown = sweep.summary.get("unknown", 0)
    told = f"did not answer about {unknown} towns" if unknown else "answers"
    return Platform("R2", not unknown, told, sweep.finished_at)
