"""Destroy (product.md 1.5): a last verified backup, soft-delete, keep the backup, then Fly.

Nothing is destroyed without a verified backup, unless staff chose to discard. Until the
soft-delete it can be called off; from then on it goes on until machine and volume are seen gone.
"""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from towns import history
from towns.flows.final_snapshot import discarded, keep_final_snapshot, rotten
from towns.flows.healthy import await_healthy
from towns.flows.machines import (
    RESTING,
    await_stopped,
    find_machine,
    remove_machine,
    start_machine,
    stop_machine,
    volume_loss,
)
from towns.flows.outcome import Done, Fail, Flow, Outcome, Retry, Wait
from towns.flows.run import Run
from towns.flows.snapshots import await_snapshot, keep_backup, note_pointer, request_sync
from towns.flows.volumes import remove_volume
from towns.models import Backup, Operation
from towns.services.fly import Machine
from towns.services.r2 import Verification, live_prefix, retained_prefix
from towns.words import DesiredState, OperationKind, OperationState, Status

SYNC_ROUNDS = 3
SYNC_RETRY_SECONDS = 60
WAKING = (
    OperationKind.START,
    OperationKind.RESTART,
    OperationKind.RECOVER,
    OperationKind.RESTORE,
)


def choose_backup(run: Run) -> Outcome:
    """Decide where the last backup comes from.

    1. Discarded, or it never ran: none is needed.
    2. Machine and volume provably gone, or stopped with a snapshot made during its stop: that one.
    3. Otherwise the town makes one now; a stopped town is started for it.
    """
    if off := _called_off(run):
        return off
    if discarded(run) or run.town.first_ran_at is None:
        return _without_sync(run, "none is needed")
    newest = run.services.r2.newest_verified(live_prefix(str(run.town.pk)), without=rotten(run))
    machine = find_machine(run)
    if machine is None and volume_loss(run) is not None:
        if newest is None:
            return _take_kept(run)
        run.report(backup="the last one there is: machine and volume are gone")
        return _take(run, newest)
    if machine is None:
        return _refuse(
            run,
            "Its machine is gone but its volume is there: recover it first, so that it can be "
            "backed up, or have staff discard the data.",
        )
    if machine.state in RESTING:
        if newest and not rotten(run) and _made_during_last_stop(run, machine, newest):
            return _take(run, newest)
        run.remember(started_for_sync=True)
        return start_machine(run)
    return Done("the town makes one now")


def _take(run: Run, snapshot: Verification) -> Outcome:
    keep_backup(run, snapshot)
    run.remember(snapshot=snapshot.timestamp)
    return _without_sync(run, snapshot.timestamp)


def _take_kept(run: Run) -> Outcome:
    """A database from an older backup doesn't know that the town was destroyed since."""
    kept = run.services.r2.newest_verified(retained_prefix(str(run.town.pk)))
    if kept is None:
        return _refuse(
            run, "Its machine and volume are gone, and R2 holds no verified backup of it."
        )
    run.report(backup="kept by an earlier destroy: machine and volume are gone")
    run.remember(snapshot=kept.timestamp)
    return _without_sync(run, kept.timestamp)


def _refuse(run: Run, reason: str) -> Outcome:
    """Until the soft-delete it ends with the reason; from then on it goes on, visibly."""
    return Fail(reason) if run.town.destroyed_at is None else Retry(reason)


def _without_sync(run: Run, note: str) -> Outcome:
    run.remember(sync_failed="not needed", no_sync=True)
    return Done(note)


def _made_during_last_stop(run: Run, machine: Machine, snapshot: Verification) -> bool:
    """Whether its stop was ours, nothing can have run since, and the snapshot is not older.

    A machine that has not started yet may be a new one on a volume with later work.
    """
    stop = Operation.objects.filter(
        town=run.town, kind=OperationKind.STOP, state=OperationState.SUCCEEDED
    ).first()
    if stop is None or snapshot.created_at is None:
        return False
    began = machine.last_start_at or machine.created_at
    if began is None or began > stop.created_at:
        return False
    if run.town.operations.filter(kind__in=WAKING, created_at__gt=stop.created_at).exists():
        return False
    return snapshot.created_at >= stop.created_at


def await_awake(run: Run) -> Outcome:
    """A town that was started for its last backup must be up before it can be asked."""
    if off := _called_off(run):
        return off
    if run.learned.get("no_sync"):
        return Done("not needed")
    if run.operation.status_before == "running" and not run.learned.get("started_for_sync"):
        return Done("it runs")
    outcome = await_healthy(run)
    limit = settings.GASTOWN_DEADLINE_STARTING_MINUTES * 60
    chosen = datetime.fromisoformat(run.operation.log[-1]["at"])
    if isinstance(outcome, Wait) and (run.now - chosen).total_seconds() > limit:
        return Done(f"asked for its backup although not healthy: {outcome.why}")
    return outcome


def on_sync_failed(run: Run, why: str) -> Outcome:
    """Without a verified backup nothing is destroyed."""
    if off := _called_off(run):
        return off
    if discarded(run):
        return _without_sync(run, "the data may be discarded")
    rounds = run.learned.get("sync_rounds", 0) + 1
    run.remember(sync_rounds=rounds)
    if rounds < SYNC_ROUNDS:
        return Retry(f"No verified backup yet: {why}", SYNC_RETRY_SECONDS, "note_pointer")
    if run.town.destroyed_at is not None:
        run.remember(sync_rounds=0)
        return Retry(f"Its volume stays, there is no verified backup. {why}", None, "choose_backup")
    return Fail(
        f"Nothing was destroyed: there is no verified backup. {why} "
        "Try again, or have staff with the permission discard the data."
    )


def soft_delete(run: Run) -> Outcome:
    """Mark the town destroyed; the point from which there is no calling off, only restore.

    Under the town's lock: nobody is told that it is called off when it is not.
    """
    if not (run.learned.get("snapshot") or discarded(run) or run.town.first_ran_at is None):
        return Fail("Nothing was destroyed: there is no verified backup.")
    with transaction.atomic():
        history.lock_town(run.town.pk)
        if off := _called_off(run):
            return off
        if run.town.destroyed_at is None:
            run.save_town(destroyed_at=run.now)
            run.record("soft_deleted", "The town counts as destroyed; its backup is kept.")
    return Done()


def empty_live_prefix(run: Run) -> Outcome:
    """Once the copy is verified, the live prefix is emptied."""
    if not (run.learned.get("retained") or discarded(run) or run.town.first_ran_at is None):
        return Retry("The final snapshot has not been kept yet.")
    count = run.services.r2.empty(live_prefix(str(run.town.pk)))
    Backup.objects.filter(town=run.town, kind=Backup.Kind.LIVE, gone_at=None).update(
        gone_at=run.now
    )
    return Done(f"{count} objects")


def destroy_machine(run: Run) -> Outcome:
    """Destroy the machine; its id is kept until it is seen gone."""
    return remove_machine(run)


def destroy_volume(run: Run) -> Outcome:
    """Destroy the volume, which only a verified backup or a discard allows (invariant 3)."""
    if not (run.learned.get("retained") or discarded(run) or run.town.first_ran_at is None):
        return Retry("The volume stays: no verified backup was made after the request.")
    return remove_volume(run)


def sleep_again(run: Run) -> Outcome:
    """A town that was only started for its last backup is stopped again when it lives on."""
    if not _slept(run):
        return Done("not needed")
    return stop_machine(run)


def await_asleep(run: Run) -> Outcome:
    """Wait until it is stopped again."""
    if not _slept(run):
        return Done("not needed")
    return await_stopped(run)


def _slept(run: Run) -> bool:
    """Whether its last backup woke it. A machine that fell over unseen was not meant to sleep."""
    was_stopped = run.operation.status_before == Status.STOPPED
    return was_stopped and bool(run.learned.get("started_for_sync"))


def _called_off(run: Run) -> Fail | None:
    run.reload_town()
    if run.town.desired_state != DesiredState.DESTROYED and run.town.destroyed_at is None:
        return Fail("The destroy was called off before anything was destroyed.", called_off=True)
    return None


MINUTE, HOUR = 60.0, 3600.0

FLOW = Flow(
    kind=OperationKind.DESTROY,
    steps=(
        choose_backup,
        await_awake,
        note_pointer,
        request_sync,
        await_snapshot,
        soft_delete,
        stop_machine,
        await_stopped,
        keep_final_snapshot,
        empty_live_prefix,
        destroy_machine,
        destroy_volume,
    ),
    deadline=None,
    undo=(sleep_again, await_asleep),
    backoff=(MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR),
    alert_after=10,
)
