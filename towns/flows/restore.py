"""Restore (product.md 1.5): the retained snapshot goes back, and a new machine runs from it."""

from towns.flows.healthy import await_healthy
from towns.flows.machines import (
    await_started,
    ensure_machine,
    find_machine,
    remove_machine,
    start_machine,
)
from towns.flows.outcome import Done, Fail, Flow, Outcome, Retry
from towns.flows.recover import check_restored, has_arrived_restored, raise_generation
from towns.flows.run import Run
from towns.flows.snapshots import keep_backup
from towns.flows.volumes import ensure_volume, remove_volume
from towns.models import Backup
from towns.services.r2 import live_prefix, retained_prefix
from towns.words import OperationKind


def find_retained_backup(run: Run) -> Outcome:
    """The retained snapshot must be there and complete."""
    snapshot = run.services.r2.newest_verified(retained_prefix(str(run.town.pk)))
    if snapshot is None:
        return Fail("Its retained backup has expired: R2 holds none any more.")
    run.remember(
        snapshot=snapshot.timestamp,
        snapshot_at=snapshot.created_at.isoformat() if snapshot.created_at else "",
        needs_volume=True,
    )
    return Done(snapshot.timestamp)


def copy_back(run: Run) -> Outcome:
    """Copy the snapshot to the live prefix, and the pointer last."""
    town_id, timestamp = str(run.town.pk), run.learned["snapshot"]
    r2 = run.services.r2
    copied = r2.copy_snapshot(retained_prefix(town_id), live_prefix(town_id), timestamp)
    if not copied.ok:
        return Retry(f"The copy of snapshot {timestamp} is not complete: {copied.problem}")
    pointer = r2.read_pointer(live_prefix(town_id))
    if pointer is None or pointer.timestamp < timestamp:
        r2.write_pointer(live_prefix(town_id), timestamp, run.town.generation)
    keep_backup(run, copied)
    return Done(timestamp)


def empty_retained(run: Run) -> Outcome:
    """The town runs: only now the retained copy may go."""
    count = run.services.r2.empty(retained_prefix(str(run.town.pk)))
    Backup.objects.filter(town=run.town, kind=Backup.Kind.RETAINED, gone_at=None).update(
        gone_at=run.now
    )
    return Done(f"{count} objects")


def undo_machine(run: Run) -> Outcome:
    """Remove the machine of the failed restore, which may not be recorded yet."""
    find_machine(run)
    outcome = remove_machine(run)
    if isinstance(outcome, Done):
        run.save_town(machine_id="")
    return outcome


def undo_volume(run: Run) -> Outcome:
    """Remove the volume that the failed restore made; the retained backup is untouched."""
    outcome = remove_volume(run)
    if isinstance(outcome, Done):
        run.save_town(volume_id="")
    return outcome


def undo_copy(run: Run) -> Outcome:
    """Nothing expires in the live prefix: what was copied there goes again, if it is still kept."""
    town_id = str(run.town.pk)
    kept = run.services.r2.newest_verified(retained_prefix(town_id))
    if kept is None or kept.timestamp < run.learned.get("snapshot", ""):
        return Done("left: the retained backup is not there any more")
    count = run.services.r2.empty(live_prefix(town_id))
    Backup.objects.filter(town=run.town, kind=Backup.Kind.LIVE, gone_at=None).update(
        gone_at=run.now
    )
    return Done(f"{count} objects")


def has_arrived(run: Run) -> bool:
    """Whether, at the deadline, the town runs all the same; once seen so, nothing undoes it."""
    return run.operation.step == empty_retained.__name__ or has_arrived_restored(run)


FLOW = Flow(
    kind=OperationKind.RESTORE,
    steps=(
        find_retained_backup,
        raise_generation,
        copy_back,
        ensure_volume,
        ensure_machine,
        start_machine,
        await_started,
        await_healthy,
        check_restored,
        empty_retained,
    ),
    deadline="GASTOWN_DEADLINE_RESTORING_MINUTES",
    arrived=has_arrived,
    undo=(undo_machine, undo_volume, undo_copy),
)
