"""Restore drill (product.md 1.7): the newest snapshot is restored for real, beside the town.

A throw-away volume and machine restore it as a recovery would, every file checked, and Dolt opens
it. The town, its machine, its volume and its backups are only read. A drill says `ok` of exactly
what it has seen; what it could not see proves nothing.
"""

from collections.abc import Callable

from django.conf import settings
from django.db import transaction

from towns import addresses
from towns.drills import Verdict
from towns.flows import drill_verdict, left_over
from towns.flows.drill_verdict import conclude, ended, inconclusive
from towns.flows.outcome import Done, Flow, Outcome, Retry, Wait
from towns.flows.run import Run
from towns.models import Drill
from towns.services import Fly
from towns.services.errors import CapacityError, Conflict, ServiceError
from towns.services.fly import MachineSpec, VolumeSpec
from towns.services.r2 import live_prefix
from towns.words import OperationKind

CLEAN_UP_SECONDS = 300
"""How long a drill waits until what it made is gone; then a sweep sees to it."""
Result = Drill.Result


def choose_snapshot(run: Run) -> Outcome:
    """The one that a recovery would take: the pointer's."""
    drill = _drill(run)
    if drill.result:
        return ended(drill)
    latest = run.services.r2.verify_latest(live_prefix(str(run.town.pk)))
    if latest is None:
        return conclude(run, drill, Verdict(Result.FAILED, "R2 holds no latest.json of it."))
    _save(run, drill, snapshot=latest.timestamp, bytes=latest.bytes or None)
    # One that is seen to lack files is drilled all the same: to know which older one restores.
    return Done(latest.timestamp or latest.problem)


def make_volume(run: Run) -> Outcome:
    """Make the throw-away volume, or adopt it if it was made but not saved."""
    drill = _drill(run)
    fly = run.services.fly.of(drill.fly_app)
    if drill.result or drill.volume_id:
        return ended(drill) if drill.result else Done(drill.volume_id)
    name = addresses.drill_volume_name(drill.pk)
    unsaved = [one for one in fly.list_volumes() if one.name == name and not one.going_away]
    if unsaved:
        volume = min(unsaved, key=lambda one: one.id)
    else:
        spec = VolumeSpec(
            name=name,
            region=run.town.region,
            size_gb=settings.GASTOWN_VOLUME_SIZE_GB,
            cpus=settings.GASTOWN_MACHINE_CPUS,
            memory_mb=settings.GASTOWN_MACHINE_MEMORY_MB,
        )
        try:
            volume = fly.create_volume(spec)
        except CapacityError as error:
            return inconclusive(run, drill, str(error))
    _save(run, drill, volume_id=volume.id)
    return Done(volume.id)


def make_machine(run: Run) -> Outcome:
    """Make the throw-away machine, or adopt it if it was made but not saved."""
    drill = _drill(run)
    fly = run.services.fly.of(drill.fly_app)
    if drill.result or drill.machine_id:
        return ended(drill) if drill.result else Done(drill.machine_id)
    found = fly.list_machines(metadata={addresses.DRILL_METADATA: str(drill.pk)})
    machine = next((one for one in found if one.state not in ("destroying", "destroyed")), None)
    if machine is None:
        spec = MachineSpec(
            name=addresses.drill_machine_name(drill.pk),
            region=run.town.region,
            image=settings.GASTOWN_SANDBOX_IMAGE,
            env=addresses.drill_env(run.town),
            volume_id=drill.volume_id,
            mount_path=addresses.MOUNT_PATH,
            metadata={addresses.DRILL_METADATA: str(drill.pk)},
            cpus=settings.GASTOWN_MACHINE_CPUS,
            memory_mb=settings.GASTOWN_MACHINE_MEMORY_MB,
        )
        try:
            machine = fly.create_machine(spec)
        except CapacityError as error:
            return inconclusive(run, drill, str(error))
        except Conflict as error:  # one that the list doesn't show yet, or that is in the way
            return Retry(str(error))
    _save(run, drill, machine_id=machine.id)
    return Done(machine.id)


def await_restored(run: Run) -> Outcome:
    """Wait until the sandbox has restored something, and judge what it was."""
    drill = _drill(run)
    if drill.result:
        return ended(drill)
    report = run.services.sandbox.probe(
        addresses.sandbox_address(run.town, drill.machine_id, drill.fly_app)
    ).report
    return drill_verdict.judge(run, drill, report)


def remove_machine(run: Run) -> Outcome:
    """The throw-away machine goes."""
    return _removed(run, left_over.remove_machine, "machine")


def remove_volume(run: Run) -> Outcome:
    """The throw-away volume goes; once both are seen gone the drill is clean."""
    return _volume_removed(run)


def undo_machine(run: Run) -> Outcome:
    """After a failure, too; one that ended without a verdict has proved nothing."""
    drill = _drill(run)
    if not drill.result:
        inconclusive(run, drill, run.operation.undoing)
    return _removed(run, left_over.remove_machine, "machine")


def undo_volume(run: Run) -> Outcome:
    """After a failure, too."""
    return _volume_removed(run)


def _volume_removed(run: Run) -> Outcome:
    outcome = _removed(run, left_over.remove_volume, "volume")
    if isinstance(outcome, Done) and not run.learned.get("left_over"):
        left_over.mark_clean(run.operation.pk, run.now)
    return outcome


def _removed(run: Run, remove: Callable[[Drill, Fly], bool], what: str) -> Outcome:
    """Wait until it is seen gone, but not for ever: a sweep goes on where this one stops."""
    drill = _drill(run)
    try:
        if remove(drill, run.services.fly.of(drill.fly_app)):
            return Done(f"the throw-away {what} is gone")
        outcome: Outcome = Wait(2, f"The throw-away {what} is going away.")
    except ServiceError as error:
        outcome = Retry(str(error))
    waited = (run.now - (drill.finished_at or run.now)).total_seconds()
    if waited > CLEAN_UP_SECONDS:
        run.remember(left_over=True)
        return Done(f"the throw-away {what} is left to the sweep of backups")
    return outcome


def has_arrived(run: Run) -> bool:
    """Whether, at the deadline, it has proved what it was to prove; a sweep cleans up."""
    return _drill(run).result == Result.OK


def _drill(run: Run) -> Drill:
    return Drill.objects.get(pk=run.operation.pk)


@transaction.atomic
def _save(run: Run, drill: Drill, **fields: object) -> None:
    """Save fields of the drill, if the lease is still ours."""
    run.save_operation(lease_owner=run.operation.lease_owner)
    Drill.objects.filter(pk=drill.pk).update(**fields)


FLOW = Flow(
    kind=OperationKind.DRILL,
    steps=(
        choose_snapshot,
        make_volume,
        make_machine,
        await_restored,
        remove_machine,
        remove_volume,
    ),
    deadline="GASTOWN_DEADLINE_DRILL_MINUTES",
    arrived=has_arrived,
    undo=(undo_machine, undo_volume),
)
