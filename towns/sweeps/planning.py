"""Which failing towns are restarted, given up or left, and why: decided here, done by `restarts`.

`why` asks the same, so that what it tells is what the sweep does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import QuerySet

from towns import budgets
from towns.models import Operation, Town
from towns.policy import HealthRules, PastRestart, restarts_used_up
from towns.standing import Standing
from towns.words import CheckResult, OperationKind, OperationState, Status

FLY_SILENT = "Fly's API does not answer"


class RestartAction(StrEnum):
    """What follows for a town that has failed often enough."""

    RESTART = "restart"
    ERROR = "error"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done, and why not restarted where it isn't."""

    action: RestartAction
    why: str = ""


@dataclass(slots=True)
class Planner:
    """Decides one town after the other, the longest failing first, and changes nothing.

    `room` is how many more restarts may begin; `took` tells it of each that did.
    """

    standing: Standing
    rules: HealthRules
    now: datetime
    room: int
    fly_silent: bool = False
    canaries_out: set[str] = field(default_factory=set)

    def decide(self, town: Town, past: Sequence[PastRestart]) -> Verdict:
        """The order of the reasons: who is held back is neither restarted nor given up; who has
        used its restarts up needs no room."""
        if (why := self._held_back(town)) is not None:
            return Verdict(RestartAction.NONE, why)
        used_up = restarts_used_up(past, self.now, self.rules, cleared_at=town.restarts_cleared_at)
        if used_up is not None:
            return Verdict(RestartAction.ERROR, used_up)
        if self.room <= 0:
            return Verdict(RestartAction.NONE, budgets.why_no_room())
        return Verdict(RestartAction.RESTART)

    def took(self, town: Town) -> None:
        """A restart of it began: one place less, and the canary of its breakers is out."""
        self.room -= 1
        self.canaries_out |= {breaker.scope for breaker in self.standing.breakers_over(town)}

    def _held_back(self, town: Town) -> str | None:
        frozen = self.standing.frozen(self.now)
        if frozen is None and self.fly_silent:
            return FLY_SILENT
        out = frozenset(self.canaries_out)
        held = self.standing.held_back(town, self.now, canaries_out=out)
        return held[0].why if held else None


def candidates(rules: HealthRules, only: Sequence[UUID] | None = None) -> QuerySet[Town]:
    """The towns that have failed often enough, the longest failing first.

    A town whose last check is unknown is not among them: unknown authorises nothing.
    """
    open_ones = Operation.owning().values("town_id")
    found = Town.objects.filter(
        status=Status.UNHEALTHY,
        last_result=CheckResult.FAILED,
        consecutive_failures__gte=rules.strikes,
    ).exclude(pk__in=open_ones)
    if only is not None:
        found = found.filter(pk__in=only)
    return found.select_related("owner").order_by("episode_since", "pk")


def past_restarts(
    towns: Iterable[Town], rules: HealthRules, now: datetime
) -> dict[UUID, list[PastRestart]]:
    """The restarts and recoveries of some towns that may count against them, in one statement."""
    since = now - max(rules.fruitless_window, rules.restart_window)
    found: dict[UUID, list[PastRestart]] = {}
    ended = Operation.objects.filter(
        town__in=[town.pk for town in towns],
        kind__in=(OperationKind.RESTART, OperationKind.RECOVER),
        created_at__gt=since,
    ).exclude(state=OperationState.SUPERSEDED)
    for town_id, at, automatic in ended.values_list("town_id", "created_at", "automatic"):
        found.setdefault(town_id, []).append(PastRestart(at, automatic))
    return found
