"""What follows a health sweep: the platform-is-down rule, and restarts within their budget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from towns import actions, alerts, automation, history
from towns.automation import FLEET
from towns.models import Breaker, LifecycleEvent, Operation, Town
from towns.policy import (
    BreakerMove,
    HealthRules,
    PastRestart,
    Share,
    breaker_move,
    restarts_used_up,
)
from towns.rules import health_rules
from towns.services import Services
from towns.sweeps.observing import ACTOR, Tally
from towns.words import CheckResult, OperationKind, OperationState, Status

BATCH = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a town that fails: `action` is restart, error or none."""

    town: str
    action: str
    why: str


def update_breakers(tally: Tally, services: Services, now: datetime) -> None:
    """Open, keep or close the breakers by what the sweep saw.

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
        if fly_down and scope == FLEET:
            if breaker is None:
                _open(scope, "Fly's API does not answer.", share, now)
            continue
        move = breaker_move(is_open=breaker is not None, share=share, rules=rules)
        if move == BreakerMove.OPEN:
            _open(scope, _why(scope, share), share, now)
        elif breaker is not None:
            nobody_left = share.probed == 0 and not blind
            _move(breaker, BreakerMove.CLOSE if nobody_left else move, now)


def _why(scope: str, share: Share) -> str:
    percent = 100 * share.newly_failing / share.probed
    return f"{share.newly_failing} of {share.probed} towns ({percent:.0f} %) of {scope} newly fail."


def _open(scope: str, reason: str, share: Share, now: datetime) -> None:
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


def _move(breaker: Breaker, move: BreakerMove, now: datetime) -> None:
    """An open breaker after one more sweep. A canary that healed closes it; one that failed
    makes it wait on."""
    canary = breaker.canary
    if move == BreakerMove.KEEP:
        _set(breaker, Breaker.State.OPEN)
    elif move == BreakerMove.CLOSE or (canary and canary.state == OperationState.SUCCEEDED):
        Breaker.objects.filter(pk=breaker.pk).delete()
        alerts.resolve_alerts(
            subject=breaker.scope,
            causes=["platform_down"],
            resolution="the canary healed" if canary else "no town fails any more",
            now=now,
        )
    elif canary is None or not canary.is_open:
        _set(breaker, Breaker.State.CANARY)


def _set(breaker: Breaker, state: str) -> None:
    Breaker.objects.filter(pk=breaker.pk).update(state=state, canary=None)


def decide_restarts(
    services: Services, now: datetime, *, only: Sequence[UUID] | None = None
) -> list[Decision]:
    """Restart the towns that have failed often enough, the longest failing first, or say why not.

    A town whose last check is unknown is not among them: unknown authorises nothing.
    """
    if only is not None and not only:
        return []
    rules = health_rules()
    candidates = _candidates(rules, only)
    if not candidates.exists():
        return []
    frozen = automation.frozen(now)
    if frozen is None and not services.fly.ping():
        frozen = "Fly's API does not answer"
    breakers = automation.open_breakers()
    room = settings.GASTOWN_RESTARTS_AT_ONCE - _restarts_under_way()
    decisions: list[Decision] = []
    ids = list(candidates.values_list("pk", flat=True))
    for begin in range(0, len(ids), BATCH):
        towns = list(candidates.filter(pk__in=ids[begin : begin + BATCH]))
        past, told = _past_restarts(towns, rules, now), _told(towns)
        silent: list[LifecycleEvent] = []
        for town in towns:
            why = _why_not(town, frozen, breakers)
            used_up = restarts_used_up(
                past.get(town.pk, ()), now, rules, cleared_at=town.restarts_cleared_at
            )
            if why is None and used_up is not None:
                decisions.append(_give_up(town, used_up, now))
                continue
            if why is None and room <= 0:
                limit = settings.GASTOWN_RESTARTS_AT_ONCE
                why = f"{limit} automatic restarts are under way; it is its turn later"
            if why is not None:
                decisions.append(Decision(str(town), "none", why))
                if told.get(town.pk) != why:
                    silent.append(_not_restarted(town, why, now))
                continue
            decision = _restart(town, breakers, now)
            decisions.append(decision)
            room -= decision.action == "restart"
        LifecycleEvent.objects.bulk_create(silent)
    return decisions


def _candidates(rules: HealthRules, only: Sequence[UUID] | None) -> QuerySet[Town]:
    open_ones = Operation.objects.filter(state=OperationState.OPEN).values("town_id")
    found = Town.objects.filter(
        status=Status.UNHEALTHY,
        last_result=CheckResult.FAILED,
        consecutive_failures__gte=rules.strikes,
    ).exclude(pk__in=open_ones)
    if only is not None:
        found = found.filter(pk__in=only)
    return found.select_related("owner").order_by("episode_since", "pk")


def _restarts_under_way() -> int:
    return Operation.objects.filter(
        kind__in=(OperationKind.RESTART, OperationKind.RECOVER),
        automatic=True,
        state=OperationState.OPEN,
    ).count()


def _past_restarts(
    towns: Iterable[Town], rules: HealthRules, now: datetime
) -> dict[UUID, list[PastRestart]]:
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


def _told(towns: Sequence[Town]) -> dict[UUID, str]:
    """The last reason given, in its present episode, for not restarting each town."""
    oldest = min((town.episode_since for town in towns if town.episode_since), default=None)
    if oldest is None:
        return {}
    events = LifecycleEvent.objects.filter(
        town__in=[town.pk for town in towns], kind="not_restarted", at__gte=oldest
    ).order_by("id")
    since = {town.pk: town.episode_since for town in towns}
    return {
        event.town_id: event.reason
        for event in events
        if (begun := since[event.town_id]) is not None and event.at >= begun
    }


def _why_not(town: Town, frozen: str | None, breakers: Mapping[str, Breaker]) -> str | None:
    if frozen is not None:
        return frozen
    if town.hold_reason:
        return f"staff hold it: {town.hold_reason}"
    for breaker in automation.breakers_over(town, breakers):
        if breaker.state != Breaker.State.CANARY or breaker.canary_id is not None:
            return f"the breaker of {breaker.scope} is open: {breaker.reason}"
    return None


def _not_restarted(town: Town, why: str, now: datetime) -> LifecycleEvent:
    return history.new_event(
        town,
        "not_restarted",
        actor=ACTOR,
        now=now,
        reason=why,
        data={"failures": town.consecutive_failures, "kind": town.failure_kind},
    )


def _restart(town: Town, breakers: Mapping[str, Breaker], now: datetime) -> Decision:
    why = f"{town.consecutive_failures} checks in a row failed: {town.failure_reason}"
    data = {
        "rule": "three strikes",
        "failures": town.consecutive_failures,
        "kind": town.failure_kind,
        "since": town.episode_since.isoformat() if town.episode_since else None,
    }
    try:
        with transaction.atomic():
            locked = history.lock_town(town.pk)
            if (locked.status, locked.last_result) != (Status.UNHEALTHY, CheckResult.FAILED):
                return Decision(str(town), "none", "it is well again")
            requested = actions.request_restart(
                town.pk, actor=ACTOR, now=now, reason=why, data=data
            )
    except actions.NotAllowed as error:  # somebody was faster
        return Decision(str(town), "none", error.reason)
    for breaker in automation.breakers_over(town, breakers):
        breaker.canary = requested.operation
        breaker.save(update_fields=["canary"])
    return Decision(str(town), "restart", why)


def _give_up(town: Town, why: str, now: datetime) -> Decision:
    """No further automatic restart: `error`, and one notification. Staff can clear this."""
    reason = f"It fails again and is not restarted any more: {why}. {town.failure_reason}".strip()
    with transaction.atomic():
        locked = history.lock_town(town.pk)
        busy = Operation.objects.filter(town=locked, state=OperationState.OPEN).exists()
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
