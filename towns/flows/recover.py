"""Recover (product.md 1.6): rebuild what is provably lost, from the volume or from R2.

Only a 404 proves absence. A volume that exists is used; an old volume is never destroyed.
"""

from datetime import datetime

from django.db import transaction

from towns import alerts, budgets
from towns.automation import hold_recovery
from towns.flows.begin import deadline_of
from towns.flows.healthy import await_healthy
from towns.flows.machines import (
    await_started,
    ensure_machine,
    find_machine,
    has_arrived_running,
    remove_machine,
    start_machine,
    volume_loss,
)
from towns.flows.outcome import Done, Fail, Flow, Outcome, Wait
from towns.flows.run import Run
from towns.flows.volumes import ensure_volume
from towns.services.r2 import live_prefix
from towns.words import OperationKind


def hold_if_frozen(run: Run) -> Outcome:
    """Many towns gone at once is somebody else's fault: wait until staff let recovery go on.

    Its time begins when it may go on: who thaws recovery wants it done, not failed meanwhile.
    """
    if not run.operation.automatic:
        return Done()
    why = hold_recovery(run.operation, run.now)
    if why is None:
        if _takes_a_place(run):
            return prove_what_is_lost(run)
        why = f"{budgets.why_no_room()}."
    _record_once(run, why)
    return Wait(15, why)


def _takes_a_place(run: Run) -> bool:
    """Go on to the next step if there is room. Places are counted and taken under one lock, or
    all that look at the same moment would take the last one."""
    with transaction.atomic():
        if budgets.lock_restart_room() <= 0:
            return False
        run.save_operation(step=prove_what_is_lost.__name__, deadline_at=deadline_of(FLOW, run.now))
    return True


@transaction.atomic
def _record_once(run: Run, why: str) -> None:
    """A decision not to act is recorded, each reason once."""
    told = run.learned.get("held_back", [])
    if why not in told:
        run.remember(held_back=[*told, why])
        run.record("not_recovered", why)


def prove_what_is_lost(run: Run) -> Outcome:
    """Ask Fly for the machine and the volume, and remember which is provably absent."""
    machine = find_machine(run)
    volume_gone = volume_loss(run)
    no_volume = volume_gone is not None or not run.town.volume_id
    give_up = bool(run.operation.params.get("from_backup")) and not no_volume
    needs_volume = no_volume or give_up
    run.remember(
        needs_machine=machine is None or needs_volume,
        needs_volume=needs_volume,
        doomed_machine_id=machine.id if machine and needs_volume else "",
        old_volume_id=run.town.volume_id,
    )
    run.report(
        machine="lost" if machine is None else machine.state,
        volume=volume_gone or ("given up" if give_up else "there" if not no_volume else "none"),
    )
    if give_up:
        _list_old_volume(run)
    return Done("; ".join(f"{key}: {value}" for key, value in run.learned["report"].items()))


def _list_old_volume(run: Run) -> None:
    volume_id = run.town.volume_id
    run.record("volume_left", f"Volume {volume_id} is left as it is; staff decide about it.")
    alerts.open_alert(
        cause="old_volume",
        town=run.town,
        severity="warning",
        message=f"{run.town} is rebuilt from its backup; its old volume {volume_id} is kept. "
        "Have a look at it; when it isn't needed, confirm that it may go: `manage.py orphans`.",
        now=run.now,
        data={"volume_id": volume_id},
    )


def check_backup(run: Run) -> Outcome:
    """Where the volume is lost, a verified snapshot must be there, or nothing is created."""
    if not run.learned["needs_volume"]:
        return Done("its volume has the data")
    snapshot = run.services.r2.newest_verified(live_prefix(str(run.town.pk)))
    if snapshot is None:
        if run.town.first_ran_at is None:
            return Done("it never ran: there is nothing to restore")
        return Fail(
            "There is no verified backup in R2 and no volume, so nothing was created. "
            "Look for the volume or its snapshots at Fly."
        )
    run.remember(
        snapshot=snapshot.timestamp,
        snapshot_at=snapshot.created_at.isoformat() if snapshot.created_at else "",
    )
    return Done(snapshot.timestamp)


def raise_generation(run: Run) -> Outcome:
    """A new machine gets the next generation, so that a lost one can't overwrite its backups."""
    if not run.learned.get("needs_machine", True):
        return Done("its machine is used")
    if "generation" not in run.learned:
        run.remember(generation=run.town.generation + 1)
    if run.town.generation != run.learned["generation"]:
        run.save_town(generation=run.learned["generation"])
    return Done(f"generation {run.town.generation}")


def remove_old_machine(run: Run) -> Outcome:
    """A machine without its volume is removed first: a town never has two that run."""
    if not run.learned["doomed_machine_id"]:
        return Done("there is none")
    return remove_machine(run)


def make_machine(run: Run) -> Outcome:
    """Make the new machine, if one is needed."""
    if not run.learned["needs_machine"]:
        return Done("its machine is used")
    return ensure_machine(run)


def check_restored(run: Run) -> Outcome:
    """The town is healthy: make sure that it has its data, and say how much was lost."""
    wanted = run.learned.get("snapshot")
    if not wanted:
        return Done("nothing had to be restored")
    restore = run.learned["restore"]
    if restore["state"] != "done":
        return Fail(
            f"The new volume should hold snapshot {wanted}, but the sandbox says that its restore "
            f"is “{restore['state']}”. It was left as it is; look at it before anybody works in it."
        )
    got = restore["snapshot"] or wanted
    if got < wanted:
        alerts.open_alert(
            cause="corrupt_snapshot",
            town=run.town,
            severity="critical",
            message=f"{run.town}: snapshot {wanted} could not be restored; it runs from {got}. "
            f"{restore['error'] or ''}".strip(),
            now=run.now,
            data={"wanted": wanted, "restored": got},
        )
    else:
        alerts.resolve_alerts(
            town=run.town,
            causes=["corrupt_snapshot"],
            resolution=f"snapshot {got} was restored",
            now=run.now,
        )
    run.report(restored_snapshot=got, data_loss_seconds=_data_loss(run))
    return Done(f"restored {got}")


def has_arrived_restored(run: Run) -> bool:
    """Whether, at the deadline, the town runs all the same, and with its data."""
    return has_arrived_running(run) and isinstance(check_restored(run), Done)


def _data_loss(run: Run) -> int | None:
    """Seconds between the snapshot and the last sign of life; None when either is unknown."""
    made, last = run.learned.get("snapshot_at"), run.town.episode_since
    if not made or last is None:
        return None
    return max(0, round((last - datetime.fromisoformat(made)).total_seconds()))


FLOW = Flow(
    kind=OperationKind.RECOVER,
    steps=(
        hold_if_frozen,
        prove_what_is_lost,
        check_backup,
        raise_generation,
        remove_old_machine,
        ensure_volume,
        make_machine,
        start_machine,
        await_started,
        await_healthy,
        check_restored,
    ),
    deadline="GASTOWN_DEADLINE_RECOVERING_MINUTES",
    arrived=has_arrived_restored,
    held_at=hold_if_frozen,
)
