"""What happens next to a town that is awake: checks, a restart, the stop for being idle."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from towns.facts import idle_facts
from towns.flapping import over_at
from towns.policy import Hold, awake_because, quiet_at
from towns.readable import duration, utc
from towns.standing import Cause
from towns.sweeps import idle
from towns.sweeps.flaps import flapping_of
from towns.sweeps.planning import Planner, RestartAction, Verdict
from towns.why.answer import Held, Next
from towns.why.facts import Facts
from towns.words import Status


def checks(facts: Facts, now: datetime) -> Iterator[Next]:
    """The next health check, and what a town's failures lead to if they go on."""
    town, rules = facts.town, facts.health_rules
    if not town.machine_id:
        yield Next("health_check", "It is not asked how it is: no machine of it is known.")
        return
    due = facts.health.next_after(now)
    if not town.consecutive_failures:
        told = "The next health check."
        if town.status == Status.UNHEALTHY:
            told = "The next health check; if it is good, the town runs again."
        yield Next("health_check", told, due)
        return
    count = f"{town.consecutive_failures} in a row failed, {rules.strikes} lead to a restart"
    heals = ", and it runs again" if town.status == Status.UNHEALTHY else ""
    yield Next(
        "health_check", f"The next health check ({count}). A good one ends it all{heals}.", due
    )
    missing = rules.strikes - town.consecutive_failures
    third = due + max(0, missing - 1) * facts.health.period
    if town.status == Status.RUNNING:
        yield Next("unhealthy", "Unhealthy, if its checks fail until then.", third)
    yield from _restart(facts, third)
    if (quiet := over_at(flapping_of(town), facts.flapping_rules)) is not None:
        yield Next("flapping_over", "It flaps no more, if it is well until then.", quiet)


def verdict_at(facts: Facts, at: datetime) -> tuple[Verdict, Planner]:
    """What the health sweep of that time decides of a town that still fails then, as all else is
    now: those whose turn comes before it are decided first."""
    planner = Planner(facts.standing, facts.health_rules, at, facts.room)
    for other, past in facts.ahead:
        if planner.decide(other, past).action == RestartAction.RESTART:
            planner.took(other)
    return planner.decide(facts.town, facts.past), planner


def _restart(facts: Facts, at: datetime) -> Iterator[Next]:
    """The first sweep that decides, and where it decides to leave the town alone, the first that
    decides otherwise: another window may begin before automation is free at a sweep."""
    verdict, planner = verdict_at(facts, at)
    if verdict.action == RestartAction.NONE:
        yield Next("not_restarted", f"Not restarted, if it still fails: {verdict.why}.", at)
    while verdict.action == RestartAction.NONE:
        out = frozenset(planner.canaries_out)
        free = facts.standing.free_from(facts.town, at, canaries_out=out)
        if free is None or free == at:
            return
        at = facts.health.first_from(free)
        verdict, planner = verdict_at(facts, at)
    if verdict.action == RestartAction.RESTART:
        yield Next("restart", "It is restarted, if it still fails.", at)
    else:
        told = f"Error, if it still fails, and no further restart: {verdict.why}."
        yield Next("error", told, at)


def restarts_told(facts: Facts, now: datetime) -> str:
    """How much of its restarts is used up; nothing when none is."""
    rules, cleared = facts.health_rules, facts.town.restarts_cleared_at
    counted = sorted(
        one.at
        for one in facts.past
        if one.automatic
        and now - one.at < rules.restart_window
        and (cleared is None or one.at > cleared)
    )
    if not counted:
        return ""
    window = duration(rules.restart_window.total_seconds())
    return (
        f"{len(counted)} of {rules.restart_limit} automatic restarts within {window} are used; "
        f"the oldest counts until {utc(counted[0] + rules.restart_window)}"
    )


def awake_held(facts: Facts, now: datetime) -> Iterator[Held]:
    """What holds a town that runs awake."""
    use, rules = idle_facts(facts.town), facts.idle_rules
    for hold in awake_because(use, now, rules):
        match hold:
            case Hold.HOLD:
                continue  # told among what holds automation back
            case Hold.KEEP_AWAKE:
                yield Held(hold, "somebody wants it kept awake", use.keep_awake_until)
            case Hold.AUTO_STOP_OFF:
                yield Held(hold, "its auto-stop is off")
            case Hold.POLECATS:
                yield Held(hold, f"polecats at work: {use.polecats_active}")
            case Hold.MERGE_QUEUE:
                yield Held(hold, f"merge requests in its queue: {use.merge_queue}")
            case Hold.CONNECTION:
                silent = (use.websocket_message_at or now) + rules.silent
                yield Held(hold, "an open WebSocket, if its user stays silent", silent)
            case Hold.UNKNOWN_HEALTH:
                yield Held(hold, "what works in it is unknown: no good and recent health check")
            case Hold.INTERACTION:
                kind = facts.town.last_interaction_kind
                what = f"its owner's last {kind}" if kind else "its owner's last visit"
                if use.last_interaction_at is None:
                    what = "its own start"
                timeout = duration(use.idle_timeout.total_seconds())
                yield Held(hold, f"{what} (idle timeout {timeout})", quiet_at(use, rules))


@dataclass(frozen=True, slots=True)
class Stop:
    """When a town is stopped for being idle: `at` None means never, as things are."""

    at: datetime | None
    held_at: datetime | None = None
    why: str = ""


def idle_stop(facts: Facts, now: datetime) -> Stop | None:
    """The idle sweep that stops the town if nobody comes; None while it is held awake without an
    end."""
    decision = idle.decide(facts.town, now, facts.idle_rules, facts.standing)
    if decision.stop_at is None:
        return None
    first = max(facts.idle.next_after(now), facts.idle.first_from(decision.stop_at))
    why = _held(facts, first)
    if why is None:
        return Stop(first)
    at = first
    while _held(facts, at) is not None:
        free = facts.standing.free_from(facts.town, at)
        if free is None:
            return Stop(None, first, why)
        at = facts.idle.first_from(free)
    return Stop(at, first, why)


def stops(facts: Facts, now: datetime) -> Iterator[Next]:
    """The stop for being idle."""
    found = idle_stop(facts, now)
    if found is None:
        yield Next("idle_stop", "No stop for being idle while it is held awake.")
        return
    if found.held_at is not None:
        yield Next("not_stopped", f"Idle, but not stopped: {found.why}.", found.held_at)
    if found.at is not None:
        yield Next("idle_stop", "Stopped for being idle, if nobody comes and no work.", found.at)


def _held(facts: Facts, at: datetime) -> str | None:
    # A hold with an end is in the planned stop already.
    held = [one for one in facts.standing.held_back(facts.town, at) if one.cause != Cause.HOLD]
    return held[0].why if held else None
