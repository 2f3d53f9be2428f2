"""What a replay found, of one town and of all. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

LISTED = 200
"""As many towns are named in a result: those with the greatest difference."""


@dataclass(slots=True)
class Stop:
    """One idle stop, decided or replayed."""

    at: datetime
    done_at: datetime
    """When the town slept; the moment of the decision where no real stop shows how long it took."""
    ended_at: datetime | None = None
    """When it was awake again, for whatever reason."""
    back_at: datetime | None = None
    """When its owner came, if that ended it."""
    worked: bool = False
    """Whether the town, which really was awake, worked while it would have slept."""

    def is_wrong(self, within: timedelta) -> bool:
        """Whether its owner undid it at once."""
        return self.back_at is not None and self.back_at - self.done_at <= within

    def asleep(self, since: datetime, until: datetime) -> float:
        """Seconds that it slept inside a span."""
        begun, ended = max(self.at, since), min(self.ended_at or until, until)
        return max(0.0, (ended - begun).total_seconds())


@dataclass(frozen=True, slots=True)
class TownOutcome:
    """One town: what happened, and what would have."""

    town: UUID
    name: str
    stopped: tuple[Stop, ...] = ()
    would_stop: tuple[Stop, ...] = ()
    restarted: tuple[datetime, ...] = ()
    would_restart: tuple[datetime, ...] = ()
    given_up: tuple[datetime, ...] = ()
    would_give_up: tuple[datetime, ...] = ()
    asleep_seconds: float = 0.0
    would_sleep_seconds: float = 0.0
    checks: int = 0
    checks_without_use: int = 0
    use_known_since: datetime | None = None

    @property
    def saved_seconds(self) -> float:
        """Machine time saved; less than nothing when more is spent."""
        return self.would_sleep_seconds - self.asleep_seconds

    @property
    def differs(self) -> bool:
        """Whether anything would have been otherwise."""
        return (
            _moments(self.stopped) != _moments(self.would_stop)
            or self.restarted != self.would_restart
            or self.given_up != self.would_give_up
        )

    @property
    def weight(self) -> tuple[float, int]:
        """How much it differs, for who is listed first: by hours, then by restarts."""
        return (
            abs(self.saved_seconds),
            abs(len(self.would_restart) - len(self.restarted)),
        )

    def as_json(self, within: timedelta) -> dict[str, Any]:
        """One row of the result."""
        return {
            "town": self.name,
            "id": str(self.town),
            "stopped": [one.at.isoformat() for one in self.stopped],
            "would_stop": [one.at.isoformat() for one in self.would_stop],
            "wrong": [one.at.isoformat() for one in self.would_stop if one.is_wrong(within)],
            "restarted": [at.isoformat() for at in self.restarted],
            "would_restart": [at.isoformat() for at in self.would_restart],
            "would_give_up": [at.isoformat() for at in self.would_give_up],
            "hours_saved": round(self.saved_seconds / 3600, 2),
        }


def _moments(stops: Iterable[Stop]) -> list[datetime]:
    return [one.at for one in stops]


@dataclass(slots=True)
class Totals:
    """Sums over towns; can be added to, and kept between two parts of a replay."""

    towns: int = 0
    towns_that_differ: int = 0
    checks: int = 0
    checks_without_use: int = 0
    use_known_since: str | None = None
    stops: int = 0
    stops_wrong: int = 0
    would_stop: int = 0
    would_stop_wrong: int = 0
    would_stop_while_working: int = 0
    towns_stopped: int = 0
    towns_would_stop: int = 0
    restarts: int = 0
    would_restart: int = 0
    given_up: int = 0
    would_give_up: int = 0
    asleep_hours: float = 0.0
    would_sleep_hours: float = 0.0
    listed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def hours_saved(self) -> float:
        """Machine hours; less than nothing when more are spent."""
        return self.would_sleep_hours - self.asleep_hours

    def add(self, one: TownOutcome, within: timedelta, *, named: bool = False) -> None:
        """Count a town; the list keeps those that differ most, and those that were asked for by
        name."""
        self.towns += 1
        self.checks += one.checks
        self.checks_without_use += one.checks_without_use
        if one.use_known_since is not None:
            known = one.use_known_since.isoformat()
            self.use_known_since = min(known, self.use_known_since or known)
        self.stops += len(one.stopped)
        self.stops_wrong += sum(stop.is_wrong(within) for stop in one.stopped)
        self.would_stop += len(one.would_stop)
        self.would_stop_wrong += sum(stop.is_wrong(within) for stop in one.would_stop)
        self.would_stop_while_working += sum(stop.worked for stop in one.would_stop)
        self.towns_stopped += bool(one.stopped)
        self.towns_would_stop += bool(one.would_stop)
        self.restarts += len(one.restarted)
        self.would_restart += len(one.would_restart)
        self.given_up += len(one.given_up)
        self.would_give_up += len(one.would_give_up)
        self.asleep_hours += one.asleep_seconds / 3600
        self.would_sleep_hours += one.would_sleep_seconds / 3600
        self.towns_that_differ += one.differs
        if one.differs or named:
            self.listed.append({**one.as_json(within), "weight": list(one.weight)})
            if len(self.listed) >= 2 * LISTED:
                self.trim()

    def trim(self) -> None:
        """Keep only as many towns as are named."""
        self.listed.sort(key=lambda row: row["weight"], reverse=True)
        del self.listed[LISTED:]

    def as_json(self) -> dict[str, Any]:
        """To be kept, and to go on from."""
        self.trim()
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Back from `as_json`; an empty document is nothing counted yet."""
        return cls(**document)
