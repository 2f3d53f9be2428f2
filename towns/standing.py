"""What holds automation back, read once and then asked for any town at any time.

Freezes, holds, maintenance windows and breakers: whoever acts by a rule asks here first, and `why`
tells people the same. One that has expired holds nothing, cleaned up or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.db.models import Q

from towns.fly_apps import app_of, configured
from towns.models import Breaker, Freeze, MaintenanceWindow, Town
from towns.policy import is_held
from towns.readable import utc

FLEET = "fleet"


class Cause(StrEnum):
    """What kind of thing holds automation back."""

    FREEZE = "freeze"
    HOLD = "hold"
    WINDOW = "maintenance"
    BREAKER = "breaker"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """One thing that holds automation back from a town; `until` None: it has no known end."""

    cause: Cause
    why: str
    until: datetime | None = None


def scopes(town: Town) -> list[str]:
    """The breakers that a town is under."""
    return scopes_of(town.region, town.image, app_of(town))


def scopes_of(region: str, image: str, app: str) -> list[str]:
    """The breakers that a town of this region, image and Fly app is under. Where there is one app
    alone, it is the fleet."""
    found = [FLEET, f"region:{region}"]
    if image:
        found.append(f"image:{image}")
    if app and len(configured()) > 1:
        found.append(f"app:{app}")
    return found


def window_scopes(town: Town) -> list[str]:
    """The maintenance windows that a town is under."""
    return [*scopes(town), f"town:{town.pk}"]


def not_held(now: datetime) -> Q:
    """`policy.is_held` for the database: towns that no hold stands over."""
    return Q(hold_reason="") | Q(hold_until__lte=now)


@dataclass(frozen=True, slots=True)
class Standing:
    """All that stands, or is to come, at the time it was read. Asking it reads nothing more."""

    freeze: Freeze | None = None
    recovery: Freeze | None = None
    windows: tuple[MaintenanceWindow, ...] = ()
    breakers: Mapping[str, Breaker] = field(default_factory=dict)

    def frozen(self, at: datetime) -> str | None:
        """Why no automatic action may be taken at all; None when it may."""
        return frozen_text(self.freeze) if self.freeze and _lasts(self.freeze, at) else None

    def windows_over(self, town: Town) -> list[MaintenanceWindow]:
        """The windows of a town, those to come too; the first to begin first."""
        mine = window_scopes(town)
        return sorted((w for w in self.windows if w.scope in mine), key=lambda w: w.since)

    def breakers_over(self, town: Town) -> list[Breaker]:
        """The open breakers that a town is under."""
        return [self.breakers[scope] for scope in scopes(town) if scope in self.breakers]

    def held_back(
        self, town: Town, at: datetime, *, canaries_out: frozenset[str] | None = None
    ) -> list[HeldBack]:
        """What holds automation back from a town at a time, the widest first; empty: nothing.

        With `canaries_out`, the scopes whose canary is under way, a breaker that lets a canary out
        holds nobody back as long as it has none: for restarts.
        """
        held = []
        if self.freeze is not None and _lasts(self.freeze, at):
            held.append(HeldBack(Cause.FREEZE, frozen_text(self.freeze), self.freeze.until))
        if is_held(town.hold_reason, town.hold_until, at):
            until = f" until {utc(town.hold_until)}" if town.hold_until else ""
            why = f"staff hold it{until}: {town.hold_reason}"
            held.append(HeldBack(Cause.HOLD, why, town.hold_until))
        held += [
            HeldBack(Cause.WINDOW, window_text(window), window.until)
            for window in self.windows_over(town)
            if window.since <= at < window.until
        ]
        held += [
            HeldBack(Cause.BREAKER, f"the breaker of {one.scope} is open: {one.reason}")
            for one in self.breakers_over(town)
            if canaries_out is None or _holds_canaries(one, canaries_out)
        ]
        return held

    def free_from(
        self, town: Town, at: datetime, *, canaries_out: frozenset[str] | None = None
    ) -> datetime | None:
        """From when on, not before `at`, nothing holds automation back from a town any more; None
        when something without a known end does."""
        while held := self.held_back(town, at, canaries_out=canaries_out):
            ends = [one.until for one in held if one.until is not None]
            if len(ends) < len(held):
                return None
            at = max(ends)
        return at


def read_standing(now: datetime) -> Standing:
    """Read all that stands or is to come, in three statements. Changes nothing."""
    freezes = {
        freeze.scope: freeze
        for freeze in Freeze.objects.filter(
            Q(until__isnull=True) | Q(until__gt=now), thawed_at=None
        )
    }
    return Standing(
        freeze=freezes.get(Freeze.Scope.ALL),
        recovery=freezes.get(Freeze.Scope.RECOVERY),
        windows=tuple(MaintenanceWindow.objects.filter(ended_at=None, until__gt=now)),
        breakers={breaker.scope: breaker for breaker in Breaker.objects.all()},
    )


def frozen_text(freeze: Freeze) -> str:
    """A freeze of everything, in one sentence."""
    return f"Automation is frozen by {freeze.actor}: {freeze.reason}"


def window_text(window: MaintenanceWindow) -> str:
    """A window that stands, as the reason why nothing is done."""
    scope = "the town" if window.scope.startswith("town:") else window.scope
    return f"maintenance of {scope} until {utc(window.until)}: {window.reason}"


def _lasts(freeze: Freeze, at: datetime) -> bool:
    return freeze.until is None or freeze.until > at


def _holds_canaries(breaker: Breaker, out: frozenset[str]) -> bool:
    if breaker.state != Breaker.State.CANARY or breaker.canary_id is not None:
        return True
    return breaker.scope in out
