"""The settings of a replay: those of now, with some changed by NAME=VALUE."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings

from towns import checks
from towns.changes import InvalidChange
from towns.policy import HealthRules, IdleRules
from towns.rules import health_rules, idle_rules

EVERY = "EVERY_TOWN_IDLE_TIMEOUT_MINUTES"
"""No setting of the installation: it stands for an own idle timeout of each town."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The rules under which history is decided again."""

    idle: IdleRules
    health: HealthRules
    usual_timeout: int
    """The idle timeout in minutes that stands for the default of now."""
    usual_was: int
    every_timeout: int | None = None
    """An idle timeout for every town, whatever its own is."""
    wrong_within: timedelta = timedelta(minutes=5)
    """An idle stop whose owner comes back within so long was wrong."""
    breakers_changed: bool = False
    changes: tuple[tuple[str, int], ...] = ()

    def timeout(self, minutes: int) -> timedelta:
        """The idle timeout of a town that had `minutes`: one of its own stays."""
        if self.every_timeout is not None:
            return timedelta(minutes=self.every_timeout)
        usual = minutes == self.usual_was
        return timedelta(minutes=self.usual_timeout if usual else minutes)

    def described(self) -> list[str]:
        """The changes as they were typed."""
        return [f"{name}={value}" for name, value in self.changes]


@dataclass(frozen=True, slots=True)
class Settable:
    """One setting that a replay can change."""

    name: str
    meaning: str
    least: float
    most: float
    change: Callable[[Scenario, int], Scenario]

    @property
    def now(self) -> int | None:
        """What it is at present; None for what is no setting of the installation."""
        value: int | None = getattr(settings, self.name, None)
        return value


def _idle(field: str, unit: str) -> Callable[[Scenario, int], Scenario]:
    def change(scenario: Scenario, value: int) -> Scenario:
        changes: Mapping[str, Any] = {field: timedelta(**{unit: value})}
        return replace(scenario, idle=replace(scenario.idle, **changes))

    return change


def _health(
    field: str, convert: Callable[[int], object], *, breaker: bool = False
) -> Callable[[Scenario, int], Scenario]:
    def change(scenario: Scenario, value: int) -> Scenario:
        changes: Mapping[str, Any] = {field: convert(value)}
        health = replace(scenario.health, **changes)
        return replace(
            scenario, health=health, breakers_changed=scenario.breakers_changed or breaker
        )

    return change


def _minutes(value: int) -> timedelta:
    return timedelta(minutes=value)


def _seconds(value: int) -> timedelta:
    return timedelta(seconds=value)


def _percent(value: int) -> float:
    return value / 100


def settables() -> dict[str, Settable]:
    """What can be changed, by name."""
    least = settings.GASTOWN_IDLE_TIMEOUT_MIN_MINUTES
    most = settings.GASTOWN_IDLE_TIMEOUT_MAX_MINUTES
    found = [
        Settable(
            "GASTOWN_IDLE_TIMEOUT_MINUTES",
            "the idle timeout of towns that have the usual one",
            least,
            most,
            lambda scenario, value: replace(scenario, usual_timeout=value),
        ),
        Settable(
            EVERY,
            "the idle timeout of every town, also of those with their own",
            least,
            most,
            lambda scenario, value: replace(scenario, every_timeout=value),
        ),
        _ranged(
            "GASTOWN_INTERACTION_COALESCE_SECONDS",
            "how much later than noted the last interaction may have been",
            _idle("coalesce", "seconds"),
        ),
        _ranged(
            "GASTOWN_WRONG_STOP_MINUTES",
            "an idle stop undone within so long was wrong",
            lambda scenario, value: replace(scenario, wrong_within=_minutes(value)),
        ),
        _ranged(
            "GASTOWN_FAILURES_BEFORE_RESTART",
            "failures in a row before a restart",
            _health("strikes", int),
        ),
        _ranged(
            "GASTOWN_RESTART_FAILED_LIMIT",
            "restarts of any kind that are enough",
            _health("fruitless_limit", int),
        ),
        _ranged(
            "GASTOWN_RESTART_FAILED_WINDOW_MINUTES",
            "within so long",
            _health("fruitless_window", _minutes),
        ),
        _ranged(
            "GASTOWN_RESTART_LIMIT",
            "automatic restarts that are enough",
            _health("restart_limit", int),
        ),
        _ranged(
            "GASTOWN_RESTART_WINDOW_MINUTES", "within so long", _health("restart_window", _minutes)
        ),
        _ranged(
            "GASTOWN_BREAKER_MIN_TOWNS",
            "towns that newly fail at once and open a breaker",
            _health("breaker_towns", int, breaker=True),
        ),
        _ranged(
            "GASTOWN_BREAKER_PERCENT",
            "the share of towns that does",
            _health("breaker_share", _percent, breaker=True),
        ),
        _ranged(
            "GASTOWN_BREAKER_PATIENCE_SECONDS",
            "how long a breaker waits for its canary",
            _health("breaker_patience", _seconds, breaker=True),
        ),
    ]
    return {one.name: one for one in found}


def _ranged(name: str, meaning: str, change: Callable[[Scenario, int], Scenario]) -> Settable:
    least, most = checks.range_of(name)
    return Settable(name, meaning, least, most, change)


def scenario_of_now() -> Scenario:
    """The settings as they are."""
    usual = settings.GASTOWN_IDLE_TIMEOUT_MINUTES
    return Scenario(
        idle=idle_rules(),
        health=health_rules(),
        usual_timeout=usual,
        usual_was=usual,
        wrong_within=_minutes(settings.GASTOWN_WRONG_STOP_MINUTES),
    )


def scenario_with(changes: Iterable[str]) -> Scenario:
    """The settings of now with `NAME=VALUE` changes; `GASTOWN_` may be left out of a name.

    Raises InvalidChange for a name that can't be replayed, which lists those that can, or for a
    value that makes no sense.
    """
    known, scenario = settables(), scenario_of_now()
    done: dict[str, int] = {}
    for text in changes:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise InvalidChange("set", f"{text!r} is no change; write NAME=VALUE.")
        one = known.get(name.upper()) or known.get(f"GASTOWN_{name.upper()}")
        if one is None:
            raise InvalidChange("set", f"{name} can't be replayed. What can: {', '.join(known)}.")
        if one.name in done:
            raise InvalidChange("set", f"{one.name} is changed twice; write it once.")
        number = _number(one, value)
        done[one.name] = number
        scenario = one.change(scenario, number)
    return replace(scenario, changes=tuple(done.items()))


def _number(one: Settable, text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= 9
    if not digits or not one.least <= int(text) <= one.most:
        raise InvalidChange(
            "set",
            f"{one.name} can't be {text!r}; write a whole number from {one.least:g} to "
            f"{one.most:g}.",
        )
    return int(text)
