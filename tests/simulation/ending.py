"""What must hold when the last trouble is over: all is as desired, nothing lost, nothing left."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from towns.addresses import town_key, town_of_volume, volume_name
from towns.models import (
    Alert,
    Delivery,
    Drill,
    HealthCheck,
    LifecycleEvent,
    Operation,
    Orphan,
    Town,
)
from towns.words import DesiredState, OperationKind, OperationState, Status

from .checker import Violation, open_operation

if TYPE_CHECKING:
    from .simulation import Simulation

RESTING = {
    DesiredState.RUNNING: {Status.RUNNING},
    DesiredState.STOPPED: {Status.STOPPED},
    DesiredState.DESTROYED: {Status.DESTROYED},
}


def all_is_well(sim: "Simulation") -> None:
    """Invariant 10: every town is as desired, or in error with an open alert."""
    alerted = set(Alert.objects.filter(resolved_at=None).values_list("town_id", flat=True))
    for town in Town.objects.select_related("owner"):
        operation = open_operation(town.pk)
        status = Status(town.status)
        if status in RESTING[DesiredState(town.desired_state)]:
            continue
        if status == Status.ERROR and town.pk in alerted:
            continue
        if status == Status.DESTROYING and operation is not None and operation.attempt:
            continue  # it is tried again, visibly, for days if need be
        if operation is not None and _has_just_begun(sim, operation):
            continue
        doing = f"{operation.kind} at {operation.step}: {operation.message}" if operation else ""
        raise Violation(
            10,
            f"{town} is {status} ({town.status_reason}), wanted {town.desired_state}. {doing}",
        )
    _has_its_data(sim)
    _no_secrets()


def _has_just_begun(sim: "Simulation", operation: Operation) -> bool:
    """A destroy may still wait for its backup; who grew idle in the calm is being stopped."""
    age = sim.world.now - operation.created_at
    if operation.kind == OperationKind.STOP and operation.automatic:
        return age < timedelta(minutes=settings.GASTOWN_DEADLINE_STOPPING_MINUTES)
    return operation.kind == OperationKind.DESTROY and age < timedelta(minutes=15)


def _has_its_data(sim: "Simulation") -> None:
    fly = sim.world.fly
    for town in Town.objects.filter(status__in=(Status.RUNNING, Status.STOPPED)):
        volume = fly.volumes.get(town.volume_id)
        if volume is None:
            continue  # lost while it sleeps: the next start recovers it
        have = set(volume.data.marks) if volume.data else set()
        lost = sim.truth.marks.get(town.pk, set()) - have
        if lost:
            raise Violation(3, f"{town} has lost {sorted(lost)} and has {sorted(have)}")


def _no_secrets() -> None:
    """Invariant 11."""
    secrets = [
        settings.GASTOWN_FLY_API_TOKEN,
        settings.GASTOWN_INTERNAL_API_SECRET,
        settings.GASTOWN_R2_SECRET_ACCESS_KEY,
        *(town_key(town) for town in Town.objects.all()),
    ]
    texts = [
        *(f"{e.reason} {e.data}" for e in LifecycleEvent.objects.all()),
        *(f"{a.message} {a.data} {a.resolution}" for a in Alert.objects.all()),
        *(f"{o.message} {o.log} {o.learned}" for o in Operation.objects.all()),
        *(f"{t.status_reason} {t.failure_reason} {t.health}" for t in Town.objects.all()),
        *HealthCheck.objects.exclude(reason="").values_list("reason", flat=True).distinct(),
        *Drill.objects.values_list("reason", flat=True),
        *(f"{o.reason} {o.withheld}" for o in Orphan.objects.all()),
        *Delivery.objects.values_list("last_error", flat=True),
    ]
    for text in texts:
        for secret in secrets:
            if secret in text:
                raise Violation(11, f"a secret is in a row: {text[:80]}…")


def nothing_is_left(sim: "Simulation") -> None:
    """Invariants 2, 3 and 6, when all destroys have ended: nothing is made and forgotten."""
    still = Operation.objects.filter(state=OperationState.OPEN).first()
    if still is not None:
        raise Violation(10, f"{still} is still at {still.step} after days: {still.message}")
    fly = sim.world.fly
    for town in Town.objects.select_related("owner"):
        ids = {machine.id for machine in fly.machines_of(town.pk)}
        if ids - {town.machine_id}:
            raise Violation(6, f"{town} has machines that no row knows: {sorted(ids)}")
    if drills := [machine.id for machine in fly.drills()]:
        raise Violation(6, f"drills have left machines over: {drills}")
    recorded = set(Town.objects.exclude(volume_id="").values_list("volume_id", flat=True))
    listed = set(Orphan.objects.values_list("fly_id", flat=True))
    # While Fly's lists are in doubt nothing is added to the orphans; the alert tells of it by then.
    told = Alert.objects.filter(cause="old_volume", resolved_at=None)
    listed.update(told.values_list("data__volume_id", flat=True))
    without = Town.objects.exclude(status=Status.DESTROYED).filter(volume_id="")
    adoptable = {volume_name(town) for town in without}
    for volume in fly.volumes.values():
        # Recovery leaves an old volume to staff. An empty one was made and forgotten, unless the
        # next operation of a town that could not be made adopts it, or a paused worker made it.
        late = town_of_volume(volume.name) in sim.paused
        left = volume.id in listed if volume.data is not None or late else volume.name in adoptable
        if volume.id not in recorded and volume.state == "created" and not left:
            raise Violation(6, f"volume {volume.id} ({volume.name}) belongs to no row")
