"""Machines that run and shouldn't: of towns that should be stopped, and twins."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction

from towns import actions, history
from towns.drift import Drift, Thing, may_stop_twin
from towns.logs import about
from towns.models import LifecycleEvent
from towns.services.errors import ServiceError
from towns.sweeps.listing import machine_thing
from towns.sweeps.repair_scene import ACTOR, MEANWHILE, Handled, Scene, lock_unchanged, why_not
from towns.sweeps.second_look import NotSure
from towns.words import DesiredState, Status


def should_sleep(drifts: Sequence[Drift], scene: Scene) -> list[Handled]:
    """Towns that should be stopped and whose machine is started.

    One that slept for being idle counts as running again: its owner may be using it, and the idle
    rule decides. One that a person stopped is stopped again, with its last sync.
    """
    handled = []
    for drift in drifts:
        action = "adopt" if drift.town.idle_stopped else "stop"
        held = None if drift.town.idle_stopped else why_not(drift.town, scene, breakers=True)
        try:
            with about(town=drift.town.id):
                machine = scene.look.machine(drift.town.app, drift.town.machine_id)
        except NotSure as error:
            handled.append(Handled(drift, "unsure", str(error)))
            continue
        if machine is None or machine.state != "started":
            state = "gone" if machine is None else machine.state
            handled.append(Handled(drift, "none", f"at a second look it is {state}"))
        elif held is not None:
            handled.append(Handled(drift, "none", held))
            if not scene.dry_run:
                _not_repaired(drift, held, scene.now)
        elif scene.dry_run or _adopt_running(drift, scene.now):
            handled.append(Handled(drift, action, _WHY[action]))
        else:
            handled.append(Handled(drift, "none", MEANWHILE))
    return handled


_WHY = {
    "adopt": "it slept for being idle: it counts as running, and the idle rule decides",
    "stop": "a person stopped it, which holds until asked: it is stopped again",
}


def _adopt_running(drift: Drift, now: datetime) -> bool:
    """Have the row say what is: it runs. For one that a person stopped, its stop begins at once."""
    with transaction.atomic():
        town = lock_unchanged(drift.town)
        if town is None:
            return False
        idle = drift.town.idle_stopped
        if idle:
            town.desired_state, town.stop_reason = DesiredState.RUNNING, ""
        town.awake_since = now
        history.change_status(
            town,
            Status.RUNNING,
            kind="drift",
            actor=ACTOR,
            now=now,
            reason=drift.text,
            data={"rule": "drift", "kind": drift.kind, "repair": "adopt" if idle else "stop"},
            also=("desired_state", "stop_reason", "awake_since"),
        )
        if not idle:
            actions.request_stop(
                town.pk,
                actor=ACTOR,
                now=now,
                reason=f"started behind our back, {_WHY['stop']}",
                data={"rule": "drift", "seen": drift.text},
            )
    return True


def stop_twins(drifts: Sequence[Drift], scene: Scene) -> list[Handled]:
    """Second machines of a town: told to staff, and stopped if they are of an older generation
    and both run. Nothing of a twin is ever destroyed here."""
    handled = []
    for drift in drifts:
        assert drift.thing is not None
        try:
            with about(town=drift.town.id):
                handled.append(_stop_twin(drift, drift.thing, scene))
        except (NotSure, ServiceError) as error:
            handled.append(Handled(drift, "unsure", str(error)))
    return handled


def _stop_twin(drift: Drift, listed: Thing, scene: Scene) -> Handled:
    twin_id, app = listed.id, listed.app
    twin = scene.look.machine(app, twin_id)
    if twin is None or (thing := machine_thing(twin, app)).town != drift.town.id or thing.going:
        return Handled(drift, "none", "at a second look it is gone, or another town's")
    own = scene.look.machine(drift.town.app, drift.town.machine_id)
    if own is None:
        return Handled(drift, "report", "the town's own machine is gone")
    if why := may_stop_twin(drift.town, thing, machine_thing(own, drift.town.app)):
        return Handled(drift, "report", why)
    if (held := why_not(drift.town, scene)) is not None:
        return Handled(drift, "report", held)
    if scene.dry_run:
        return Handled(drift, "stop", "both run, and this one is of an older generation")
    with transaction.atomic():
        town = lock_unchanged(drift.town)
        if town is None:
            return Handled(drift, "none", MEANWHILE)
        history.record(
            town,
            "twin_stopped",
            actor=ACTOR,
            now=scene.now,
            reason=f"Two machines of it run; {twin_id} is of an older generation and is stopped.",
            data={"rule": "drift", "twin": twin_id, "generation": thing.generation},
        )
    scene.services.fly.of(app).stop_machine(
        twin_id, signal="SIGTERM", timeout_seconds=settings.GASTOWN_STOP_TIMEOUT_SECONDS
    )
    return Handled(drift, "stop", "both ran, and this one is of an older generation")


@transaction.atomic
def _not_repaired(drift: Drift, why: str, now: datetime) -> None:
    """Record a decision not to act, once per reason, also where two come by turns."""
    town = lock_unchanged(drift.town)
    if town is None:
        return
    told = LifecycleEvent.objects.filter(
        town=town, kind="drift_not_repaired", at__gte=town.status_since, reason=why
    ).exists()
    if not told:
        data = {"rule": "drift", "kind": drift.kind, "seen": drift.text}
        history.record(town, "drift_not_repaired", actor=ACTOR, now=now, reason=why, data=data)
