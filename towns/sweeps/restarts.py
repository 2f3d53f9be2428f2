"""What follows a health sweep: the platform-is-down rule, and restarts within their budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from towns import actions, alerts, automation, budgets, history
from towns.automation import FLEET
from towns.drift import DriftKind
from towns.models import Breaker, LifecycleEvent, Operation, Town
from towns.policy import BreakerMove, HealthRules, Share, breaker_move
from towns.rules import health_rules
from towns.services import Services
from towns.standing import read_standing
from towns.sweeps.planning import Planner, RestartAction, candidates, past_restarts
from towns.sweeps.strikes import ACTOR
from towns.sweeps.tally import Tally
from towns.words import CheckResult, OperationState, Status

BATCH = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a town that fails: `action` is restart, error or none."""

    town: str
    action: str
    why: str


def update_breakers(tally: Tally, services: Services, now: datetime, *, since: datetime) -> None:
    """Open, keep or close the breakers by what the sweep saw that began at `since`.

    One that was opened after that is left alone: the sweep may have looked before the outage.

    They also open for the fleet while Fly's API itself doesn't answer, which is only asked when
    something fails. One whose towns are all gone or asleep closes.
    """
    shares = tally.shares
    blind = tally.results[CheckResult.UNKNOWN.value] > 0
    rules, standing = health_rules(), automation.open_breakers()
    failing = any(share.failing for share in shares.values())
    fly_down = (failing or FLEET in standing) and not services.fly.ping()
    for scope in {*shares, *standing, *([FLEET] if fly_down else [])}:
        share, breaker = shares.get(scope, Share()), standing.get(scope)
        if breaker is not None and breaker.opened_at >= since:
            continue
        if fly_down and scope == FLEET:
            if breaker is None:
                open_breaker(scope, "Fly's API does not answer.", share, now)
            continue
        waited = _waited(breaker, now) if breaker is not None else timedelta(0)
        move = breaker_move(is_open=breaker is not None, share=share, rules=rules, waited=waited)
        if move == BreakerMove.OPEN:
            open_breaker(scope, _why(scope, share), share, now)
        elif breaker is not None:
            nobody_left = share.probed == 0 and not blind
            _move(breaker, BreakerMove.CLOSE if nobody_left else move, now)


def _waited(breaker: Breaker, now: datetime) -> timedelta:
    """Since it opened, or since its last canary failed. One that only handed over to recovery has
    not: a lost volume says nothing about the platform."""
    canary = breaker.canary
    if canary is not None and canary.state == OperationState.FAILED and canary.finished_at:
        return now - canary.finished_at
    return now - breaker.opened_at


def _why(scope: str, share: Share) -> str:
    percent = 100 * share.newly_failing / share.probed
    return f"{share.newly_failing} of {share.probed} towns ({percent:.0f} %) of {scope} newly fail."


@transaction.atomic
def open_breaker(scope: str, reason: str, share: Share, now: datetime) -> None:
    """Hold back every automatic action in a scope, with one alert; both or neither."""
    Breaker.objects.get_or_create(
        scope=scope,
        defaults={"state": Breaker.State.OPEN, "reason": reason, "opened_at": now},
    )
    alerts.open_alert(
        cause="platform_down",
        subject=scope,
        severity="critical",
        message=f"{reason} No town of {scope} is restarted, stopped for being idle or recovered "
        "until it gets better: look at Fly's status and at our own network.",
        now=now,
        data={"probed": share.probed, "failing": share.failing},
    )


@transaction.atomic
def _move(read: Breaker, move: BreakerMove, now: datetime) -> None:
    """An open breaker after one more sweep. A canary that healed closes it; one that failed is
    remembered, and makes it wait on. No second one goes while one is under way.

    It is read again under its lock: another conclusion may have sent a canary meanwhile, or closed
    it, or it may have been opened anew. No other lock than that of its alert is taken behind it.
    """
    same = Breaker.objects.filter(pk=read.pk, opened_at=read.opened_at)
    breaker = same.select_for_update(no_key=True).first()
    if breaker is None:
        return
    canary = breaker.canary
    if move == BreakerMove.KEEP:
        kept = canary is not None and canary.state in (OperationState.FAILED, OperationState.OPEN)
        _set(breaker, Breaker.State.OPEN, canary if kept else None)
    elif move == BreakerMove.CLOSE or (canary and canary.state == OperationState.SUCCEEDED):
        if not same.delete()[0]:
            return
        alerts.resolve_alerts(
            subject=breaker.scope,
            causes=["platform_down"],
            resolution="the canary healed" if canary else "no town fails any more",
            now=now,
        )
    elif canary is None or not canary.is_open:
        _set(breaker, Breaker.State.CANARY)


def _set(breaker: Breaker, state: str, canary: Operation | None = None) -> None:
    Breaker.objects.filter(pk=breaker.pk).update(state=state, canary=canary)


def decide_restarts(
    services: Services, now: datetime, *, only: Sequence[UUID] | None = None
) -> list[Decision]:
    """Restart the towns that have failed often enough, the longest failing first, or say why not.

    A town whose last check is unknown is not among them: unknown authorises nothing.
    """
    if only is not None and not only:
        return []
    rules = health_rules()
    failing = candidates(rules, only)
    if not failing.exists():
        return []
    standing = read_standing(now)
    silent = standing.frozen(now) is None and not services.fly.ping()
    planner = Planner(standing, rules, now, budgets.room_left(), fly_silent=silent)
    decisions: list[Decision] = []
    ids = list(failing.values_list("pk", flat=True))
    for begin in range(0, len(ids), BATCH):
        towns = list(failing.filter(pk__in=ids[begin : begin + BATCH]))
        past, told = past_restarts(towns, rules, now), _told(towns)
        not_done: list[LifecycleEvent] = []
        for town in towns:
            verdict = planner.decide(town, past.get(town.pk, ()))
            if verdict.action == RestartAction.ERROR:
                decisions.append(_give_up(town, verdict.why, now))
                continue
            why = verdict.why
            if verdict.action == RestartAction.RESTART:
                begun = _restart(town, rules, now)
                if isinstance(begun, Decision):
                    decisions.append(begun)
                    if begun.action == RestartAction.RESTART:
                        planner.took(town)
                    continue
                why = begun
            decisions.append(Decision(str(town), "none", why))
            if (town.pk, why) not in told:
                not_done.append(_not_restarted(town, why, now))
        LifecycleEvent.objects.bulk_create(not_done)
    return decisions


def _told(towns: Sequence[Town]) -> set[tuple[UUID, str]]:
    """The reasons given, in its present episode, for not restarting each town: each is told once,
    even where two come by turns."""
    oldest = min((town.episode_since for town in towns if town.episode_since), default=None)
    if oldest is None:
        return set()
    events = LifecycleEvent.objects.filter(
        town__in=[town.pk for town in towns], kind="not_restarted", at__gte=oldest
    )
    since = {town.pk: town.episode_since for town in towns}
    return {
        (event.town_id, event.reason)
        for event in events
        if (begun := since[event.town_id]) is not None and event.at >= begun
    }


def _not_restarted(town: Town, why: str, now: datetime) -> LifecycleEvent:
    return history.new_event(
        town,
        "not_restarted",
        actor=ACTOR,
        now=now,
        reason=why,
        data={"failures": town.consecutive_failures, "kind": town.failure_kind},
    )


def _restart(town: Town, rules: HealthRules, now: datetime) -> Decision | str:
    """Begin it; or why it has to wait, looked at again under the lock of the budget: other sweeps
    may conclude at this moment, too."""
    drifted = town.failure_kind in set(DriftKind)
    why = town.failure_reason
    if not drifted:
        why = f"{town.consecutive_failures} checks in a row failed: {why}"
    data = {
        "rule": "drift" if drifted else "three strikes",
        "failures": town.consecutive_failures,
        "kind": town.failure_kind,
        "since": town.episode_since.isoformat() if town.episode_since else None,
    }
    try:
        with transaction.atomic():
            room = budgets.lock_restart_room()
            standing = read_standing(now)  # behind the lock: a canary may have been sent meanwhile
            locked = history.lock_town(town.pk)
            if (locked.status, locked.last_result) != (Status.UNHEALTHY, CheckResult.FAILED):
                return Decision(str(town), "none", "it is well again")
            past = past_restarts([locked], rules, now).get(locked.pk, ())
            verdict = Planner(standing, rules, now, room).decide(locked, past)
            if verdict.action != RestartAction.RESTART:
                return verdict.why
            requested = actions.request_restart(
                town.pk, actor=ACTOR, now=now, reason=why, data=data
            )
            over = [breaker.pk for breaker in standing.breakers_over(locked)]
            Breaker.objects.filter(pk__in=over).update(canary=requested.operation)
    except actions.NotAllowed as error:  # somebody was faster
        return Decision(str(town), "none", error.reason)
    return Decision(str(town), "restart", why)


def _give_up(town: Town, why: str, now: datetime) -> Decision:
    """No further automatic restart: `error`, and one notification. Staff can clear this."""
    reason = f"It fails again and is not restarted any more: {why}. {town.failure_reason}".strip()
    with transaction.atomic():
        locked = history.lock_town(town.pk)
        busy = Operation.owning().filter(town=locked).exists()
        if busy or locked.status != Status.UNHEALTHY:
            return Decision(str(town), "none", "somebody was faster")
        history.change_status(
            locked,
            Status.ERROR,
            kind="restart_limit",
            actor=ACTOR,
            now=now,
            reason=reason,
            data={"why": why, "kind": town.failure_kind},
        )
        alerts.open_alert(
            cause="restart_limit",
            town=town,
            severity="critical",
            message=f"{town}: {reason} Look into it, then clear the limit "
            f"(`manage.py town set {town} --clear-restarts`) and restart it.",
            now=now,
        )
    return Decision(str(town), "error", reason)
