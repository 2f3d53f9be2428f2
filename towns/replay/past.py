"""What is recorded of one town, as the values that a replay decides by. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from towns.words import CheckResult, Status

Spans = Sequence[tuple[datetime, datetime | None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One health check, and how the town was used by then."""

    at: datetime
    result: CheckResult
    polecats: int | None
    merge_queue: int | None
    interaction_at: datetime | None
    connected: bool | None
    """Whether an open WebSocket held it; None: use was not recorded yet."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One change of status."""

    at: datetime
    kind: str
    came_from: str
    status: Status
    automatic: bool
    rule: str = ""
    interaction_at: datetime | None = None
    """The last interaction, where the event tells it."""

    @property
    def is_idle_stop(self) -> bool:
        """Whether it began a stop for being idle."""
        return self.status == Status.STOPPING and self.rule == "idle"

    @property
    def is_strike_restart(self) -> bool:
        """Whether it began a restart because of failed checks."""
        return self.status == Status.RESTARTING and self.rule == "three strikes"

    @property
    def brings_up(self) -> bool:
        """Whether the machine was started: from then on it is awake."""
        return self.status == Status.RUNNING and (
            self.kind.endswith("_done") or self.kind == "drift"
        )

    @property
    def by_a_person(self) -> bool:
        """Whether a person asked for what it begins."""
        return not self.automatic and self.kind in (
            "start",
            "stop",
            "restart",
            "recover",
            "destroy",
            "restore",
        )


@dataclass(frozen=True, slots=True)
class Choices:
    """What its owner and staff had chosen for the town at a time."""

    idle_timeout_minutes: int
    auto_stop: bool
    keep_awake_until: datetime | None = None
    hold_reason: str = ""
    hold_until: datetime | None = None
    restarts_cleared_at: datetime | None = None

    def changed(self, values: Mapping[str, Any]) -> Self:
        """With some of them as an event tells them; what it has of other fields is left."""
        known = {name: _value(name, one) for name, one in values.items() if name in _NAMES}
        return replace(self, **known)


_NAMES = frozenset(Choices.__dataclass_fields__)
_MOMENTS = frozenset({"keep_awake_until", "hold_until", "restarts_cleared_at"})


def _value(name: str, plain: Any) -> Any:
    if name in _MOMENTS:
        return datetime.fromisoformat(plain) if plain else None
    return plain


@dataclass(frozen=True, slots=True)
class Pauses:
    """When automation was held back: spans by scope, an end None being open."""

    by_scope: Mapping[str, Spans] = field(default_factory=dict)

    def over(self, scopes: Sequence[str]) -> Spans:
        """All spans of some scopes."""
        return [span for scope in scopes for span in self.by_scope.get(scope, ())]


def covers(spans: Spans, at: datetime) -> bool:
    """Whether one of the spans holds the moment."""
    return any(since <= at and (until is None or at < until) for since, until in spans)


@dataclass(frozen=True, slots=True)
class TownPast:
    """One town from `begins` on. Everything is in the order of time."""

    town: UUID
    name: str
    begins: datetime
    status: Status
    choices: Choices
    checks: Sequence[Seen] = ()
    moves: Sequence[Moved] = ()
    chosen: Sequence[tuple[datetime, Choices]] = ()
    pauses: Spans = ()
    """When all automation was held back from it, its own holds not counted."""
