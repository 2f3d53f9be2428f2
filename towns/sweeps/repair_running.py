"""Towns that should run and don't: unhealthy at once, then restarted by the rules for all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from towns import automation, history
from towns.drift import RESTING, Drift, DriftKind
from towns.logs import about
from towns.models import Town
from towns.policy import Share, is_mass
from towns.rules import health_rules
from towns.services.fly_types import Machine
from towns.sweeps.repair_scene import ACTOR, MEANWHILE, Handled, Scene, lock_unchanged
from towns.sweeps.restarts import decide_restarts, open_breaker
from towns.sweeps.second_look import NotSure
from towns.words import CheckResult, Status


def should_run(drifts: Sequence[Drift], scene: Scene, probed: Counter[str]) -> list[Handled]:
    """Towns that should run and whose machine is stopped or gone, by a second look: they are
    unhealthy at once, and restarted or recovered as any unhealthy town is.

    `probed` counts the towns that should run, by breaker scope: if very many of them are down, it
    is the platform.
    """
    handled, seen = list[Handled](), list[tuple[Drift, Machine | None]]()
    for drift in drifts:
        try:
            with about(town=drift.town.id):
                machine = scene.look.machine(drift.town.app, drift.town.machine_id)
        except NotSure as error:
            handled.append(Handled(drift, "unsure", str(error)))
            continue
        if machine is not None and machine.state not in RESTING:
            handled.append(Handled(drift, "none", f"at a second look it is {machine.state}"))
        elif scene.dry_run:
            handled.append(Handled(drift, "restart", "restarts are decided by their own rules"))
        else:
            seen.append((drift, machine))
    # Before any of them counts as failing: then a sweep that dies in between loses no breaker.
    _break_if_many(drifts, [drift for drift, _ in seen], probed, scene.now)
    down = list[Drift]()
    for drift, machine in seen:
        if drift.town.counted_out or _mark_unhealthy(drift, machine, scene.now):
            down.append(drift)
        else:
            handled.append(Handled(drift, "none", MEANWHILE))
    decided = {
        one.town: one
        for one in decide_restarts(scene.services, scene.now, only=[one.town.id for one in down])
    }
    for drift in down:
        decision = decided.get(drift.town.label)
        handled.append(
            Handled(drift, decision.action, decision.why)
            if decision is not None
            else Handled(drift, "none", MEANWHILE)
        )
    return handled


def _mark_unhealthy(drift: Drift, machine: Machine | None, now: datetime) -> bool:
    """Count a town as failing, on Fly's word; False when it isn't any more what was compared."""
    reason = _what_fly_says(machine, drift.town.machine_id)
    kind = DriftKind.GONE if machine is None else DriftKind.STOPPED
    with transaction.atomic():
        town = lock_unchanged(drift.town)
        if town is None:
            return False
        town.episode_since = town.episode_since or _fell_at(machine, town, now)
        town.failure_kind, town.failure_reason = kind, reason
        town.consecutive_failures = max(town.consecutive_failures + 1, health_rules().strikes)
        town.last_result = CheckResult.FAILED
        fields = (
            "episode_since",
            "failure_kind",
            "failure_reason",
            "consecutive_failures",
            "last_result",
        )
        facts: dict[str, Any] = {"rule": "drift", "seen": drift.text, "kind": kind}
        if town.status == Status.RUNNING:
            history.change_status(
                town,
                Status.UNHEALTHY,
                kind="drift",
                actor=ACTOR,
                now=now,
                reason=reason,
                data=facts,
                also=fields,
            )
        else:
            town.save(update_fields=fields)
            history.record(town, "drift", actor=ACTOR, now=now, reason=reason, data=facts)
    return True


def _what_fly_says(machine: Machine | None, machine_id: str) -> str:
    if machine is None:
        return f"Fly has no machine {machine_id} any more (404)."
    text = f"Fly says that its machine is {machine.state}, and nobody of us stopped it"
    last = machine.last_exit
    if last is not None and last.oom_killed:
        return f"{text}: it ran out of memory."
    if last is not None and last.exit_code is not None:
        return f"{text} (exit code {last.exit_code})."
    return f"{text}."


def _fell_at(machine: Machine | None, town: Town, now: datetime) -> datetime:
    """When its downtime began: with the machine's last exit, if that was since it ran."""
    last = machine.last_exit.at if machine is not None and machine.last_exit else None
    return last if last is not None and town.status_since <= last <= now else now


def _break_if_many(
    drifts: Sequence[Drift], seen: Sequence[Drift], probed: Counter[str], now: datetime
) -> None:
    """Many machines newly down at once are the platform's fault, however many a sweep can look at.

    Towns that failed before are known: once a canary has healed they must not stop it all anew.
    """
    rules = health_rules()
    listed, looked_at = _by_scope(drifts), _by_scope(seen)
    for scope, count in listed.items():
        if not is_mass(count, probed[scope], rules) or looked_at[scope] < rules.breaker_towns:
            continue
        share = Share(probed[scope], count, count)
        reason = f"{count} of {probed[scope]} machines of {scope} are stopped or gone at Fly."
        open_breaker(scope, reason, share, now)


def _by_scope(drifts: Iterable[Drift]) -> Counter[str]:
    """Those that are news, by the scopes of the breakers that they are under."""
    return Counter(
        scope
        for one in drifts
        if not one.town.counted_out
        for scope in automation.scopes_of(one.town.region, one.town.image, one.town.app)
    )
