"""From the facts to the answer, for every status. Pure."""

from collections.abc import Iterator
from datetime import datetime

from towns import interactions
from towns.models import Breaker
from towns.policy import restarts_used_up
from towns.preview import preview
from towns.readable import utc
from towns.standing import Cause, window_text
from towns.why import awake, under_way
from towns.why.answer import Answer, Held, Next, Rule
from towns.why.facts import Facts
from towns.words import ACTIVE, OperationKind, Status, StopReason

_OFFERED = (
    OperationKind.START,
    OperationKind.RESTART,
    OperationKind.RECOVER,
    OperationKind.RESTORE,
    OperationKind.DESTROY,
)
LATE = 3
"""Periods without a sweep after which our own watching is in doubt."""


def explain(facts: Facts, now: datetime) -> Answer:
    """The whole answer."""
    town, event = facts.town, facts.event
    rule = None
    if event is not None:
        rule = Rule(event.kind, event.actor, event.automatic, event.data)
    found = sorted(_next(facts, now), key=lambda one: (one.at is None, one.at or now))
    return Answer(
        town=str(town),
        town_id=str(town.pk),
        status=town.status,
        since=town.status_since,
        reason=town.status_reason,
        wanted=town.desired_state,
        rule=rule,
        notes=tuple(_notes(facts, now)),
        held=tuple(_held(facts, now)),
        next=tuple(found),
        to_do=tuple(_to_do(facts, now)),
    )


def _notes(facts: Facts, now: datetime) -> Iterator[str]:
    town, operation = facts.town, facts.operation
    if operation is not None:
        yield from under_way.told(operation)
    if town.consecutive_failures:
        yield (
            f"{town.consecutive_failures} checks in a row failed since {utc(town.episode_since)}: "
            f"{town.failure_reason or town.failure_kind}"
        )
    if (newest := facts.health.newest) is not None and now - newest > LATE * facts.health.period:
        yield f"no health sweep has begun since {utc(newest)}: is a cluster running?"
    if town.last_result == "unknown" and Status(town.status) in ACTIVE:
        yield "its last check is unknown: we could not ask, which counts neither way"
    if town.flapping_since is not None:
        yield f"it flaps since {utc(town.flapping_since)}: {town.flap_count} episodes in a row"
    if Status(town.status) not in (Status.STOPPED, Status.DESTROYED):
        yield from filter(None, [awake.restarts_told(facts, now)])
    if town.status == Status.STOPPED:
        yield {
            StopReason.IDLE.value: "it was stopped for being idle",
            StopReason.PERSON.value: "a person stopped it",
        }.get(town.stop_reason, "it is stopped")


def _held(facts: Facts, now: datetime) -> Iterator[Held]:
    town = facts.town
    if town.status == Status.DESTROYED:
        return
    if town.status == Status.RUNNING:
        yield from awake.awake_held(facts, now)
    for one in facts.standing.held_back(town, now):
        yield Held(one.cause, one.why, one.until)
    recovery = facts.standing.recovery
    concerned = town.status in (Status.UNHEALTHY, Status.RESTARTING, Status.RECOVERING)
    if recovery is not None and concerned:
        yield Held(
            "recovery_freeze",
            f"automatic recovery is frozen by {recovery.actor}: {recovery.reason}",
            recovery.until,
        )


def _next(facts: Facts, now: datetime) -> Iterator[Next]:
    town, operation = facts.town, facts.operation
    if operation is not None:
        yield from under_way.steps(operation, now)
        yield from under_way.deadline(operation)
        yield from under_way.afterwards(town, operation)
    elif Status(town.status) in ACTIVE:
        yield from awake.checks(facts, now)
        if town.status == Status.RUNNING:
            yield from awake.stops(facts, now)
    else:
        yield from _at_rest(facts, now)
    if town.status != Status.DESTROYED:
        yield from _ends(facts, now)


def _at_rest(facts: Facts, now: datetime) -> Iterator[Next]:
    town = facts.town
    match Status(town.status):
        case Status.STOPPED if interactions.wakes(town):
            yield Next("wake", "Its owner's next visit or API call starts it.")
        case Status.STOPPED:
            yield Next("stay", "It stays stopped until somebody starts it.")
        case Status.DESTROYED:
            yield from _retention(facts, now)
        case Status.ERROR:
            yield Next("stay", "Nothing by itself: a person has to look into it.")
        case status:
            yield Next("stay", f"Nothing: it is {status}, but no operation is under way.")


def _retention(facts: Facts, now: datetime) -> Iterator[Next]:
    until = facts.town.restore_until
    if until is None:
        return
    if until > now:
        yield Next("backup_expires", "Its backup is gone; until then it can be restored.", until)
    else:
        yield Next("stay", f"Nothing: its backup expired on {utc(until)}.")


def _ends(facts: Facts, now: datetime) -> Iterator[Next]:
    """When what stands ends by itself, and the windows to come."""
    town = facts.town
    if town.keep_awake_until is not None and town.keep_awake_until > now:
        yield Next("keep_awake_ends", "It is kept awake no longer.", town.keep_awake_until)
    for one in facts.standing.held_back(town, now):
        if one.until is not None:
            yield Next(f"{one.cause}_ends", f"The {one.cause} ends by itself.", one.until)
    for window in facts.standing.windows_over(town):
        if window.since > now:
            yield Next("maintenance", f"Begins: {window_text(window)}.", window.since)


def _to_do(facts: Facts, now: datetime) -> Iterator[str]:
    """What a person can do, where it needs one: in error, while held back, when destroyed."""
    town = facts.town
    if town.status == Status.ERROR or (town.status == Status.UNHEALTHY and facts.alerts):
        for alert in facts.alerts:
            yield alert.message
    used_up = restarts_used_up(
        facts.past, now, facts.health_rules, cleared_at=town.restarts_cleared_at
    )
    if used_up is not None and town.status in (Status.ERROR, *ACTIVE):
        yield f"have automatic restarts begin again: `manage.py town set {town} --clear-restarts`"
    if town.status in (Status.UNHEALTHY, Status.RECOVERING):
        yield from _release(facts, now)
    passing = town.status not in (*ACTIVE, Status.STOPPED, Status.ERROR, Status.DESTROYED)
    if facts.operation is None and (
        passing or town.status in (Status.ERROR, Status.DESTROYED, Status.UNHEALTHY)
    ):
        for kind in _OFFERED:
            told = preview(kind, town, None, now, name_taken=facts.name_taken)
            if told.allowed:
                yield f"{kind}: {told.text}"


def _release(facts: Facts, now: datetime) -> Iterator[str]:
    for one in facts.standing.held_back(facts.town, now):
        if one.cause == Cause.FREEZE:
            yield "let automation go on: `manage.py automation thaw`"
        elif one.cause == Cause.HOLD:
            yield f"release it: `manage.py town set {facts.town} --release`"
    if facts.standing.recovery is not None:
        yield "let recovery go on: `manage.py automation thaw --scope recovery`"
    for breaker in facts.standing.breakers_over(facts.town):
        if breaker.state == Breaker.State.OPEN:
            yield f"look at what {breaker.scope} has in common: `manage.py automation status`"
