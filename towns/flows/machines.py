"""Steps and looks at Fly that several flows share: find, make, start, stop, remove."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.db import transaction

from towns import addresses
from towns.flows.outcome import Done, Fail, HandOver, Outcome, Retry, Wait
from towns.flows.run import Run
from towns.models import Operation
from towns.readable import duration
from towns.services.errors import CapacityError, Conflict, NotFound
from towns.services.fly import Machine, MachineSpec
from towns.words import OperationKind, Status

RESTING = frozenset({"created", "stopped", "suspended", "failed"})
"""Machine states from which a start is possible."""
GONE = frozenset({"destroyed", "destroying"})
STUCK_SECONDS = 300
"""A passing state that is held for longer is stuck (fly.io/docs/machines/machine-states)."""
NOTHING_TO_STOP = (
    "Fly has no machine of this town any more, so it can't be stopped. "
    "Its data is in its volume or its backup: the next start recovers it."
)


def find_machine(run: Run) -> Machine | None:
    """The town's machine; None only when it is provably absent. Adopts one that isn't recorded,
    unless a newer one has taken its place: that one's work isn't on it, and it is fenced."""
    if run.town.machine_id:
        try:
            machine = run.fly.get_machine(run.town.machine_id)
            if machine.state not in GONE:
                return machine
        except NotFound:
            pass
    found = _newest_by_metadata(run)
    if found is not None and found.id != run.town.machine_id:
        if _was_replaced(run, found):
            return None
        _keep(run, found)
        run.record("machine_adopted", f"Machine {found.id} is this town's, but wasn't recorded.")
    return found


def _newest_by_metadata(run: Run) -> Machine | None:
    found = run.fly.list_machines(metadata={addresses.TOWN_METADATA: str(run.town.pk)})
    living = [machine for machine in found if machine.state not in GONE]
    return max(living, key=_generation, default=None)


def _generation(machine: Machine) -> int:
    text = machine.metadata.get(addresses.GENERATION_METADATA, "")
    return int(text) if text.isdigit() else 0


@transaction.atomic
def _keep(run: Run, machine: Machine, **fields: Any) -> None:
    """Save whose machine it is, and that the town has had one of this generation."""
    run.save_town(machine_id=machine.id, **fields)
    run.remember(machine_generation=_generation(machine))


def _was_replaced(run: Run, machine: Machine) -> bool:
    """Whether the town has had a machine of a newer generation. The town's own number doesn't say
    so: it is raised before the new machine is made, which may have come to nothing."""
    newer = Operation.objects.filter(
        town=run.town, learned__machine_generation__gt=_generation(machine)
    )
    return newer.exists()


def ensure_machine(run: Run) -> Outcome:
    """Make the town's machine of this generation, or adopt it if it was made but not saved."""
    machine = _newest_by_metadata(run)
    if machine is None:
        try:
            machine = run.fly.create_machine(_machine_spec(run))
        except Conflict as error:
            if error.existing_id is None:
                raise
            return _adopt_namesake(run, error.existing_id)
    if _generation(machine) < run.town.generation:
        return Retry(f"Machine {machine.id} of an older generation is still there.")
    _keep(run, machine, image=settings.GASTOWN_SANDBOX_IMAGE)
    return Done(machine.id)


def _adopt_namesake(run: Run, machine_id: str) -> Outcome:
    machine = run.fly.get_machine(machine_id)
    if machine.metadata.get(addresses.TOWN_METADATA) != str(run.town.pk):
        return Fail(
            f"Fly has a machine {machine_id} with this town's name that isn't ours. "
            "Have a look at it and destroy or rename it, then try again."
        )
    if machine.state in GONE:
        return Wait(2, f"Machine {machine_id} is going away.")
    return Retry(f"Machine {machine_id} has this town's name; looking at it again.", 1)


def _machine_spec(run: Run) -> MachineSpec:
    town = run.town
    return MachineSpec(
        name=addresses.machine_name(town),
        region=town.region,
        image=settings.GASTOWN_SANDBOX_IMAGE,
        env=addresses.machine_env(town),
        volume_id=town.volume_id,
        mount_path=addresses.MOUNT_PATH,
        metadata=addresses.machine_metadata(town),
        cpus=settings.GASTOWN_MACHINE_CPUS,
        memory_mb=settings.GASTOWN_MACHINE_MEMORY_MB,
        stop_timeout_seconds=settings.GASTOWN_STOP_TIMEOUT_SECONDS,
    )


def start_machine(run: Run) -> Outcome:
    """Tell Fly to start the machine, unless it is started or on its way there."""
    machine = find_machine(run)
    if machine is None:
        return lost(run, "Fly has no machine of this town any more.")
    if machine.state in {"stopping", "suspending"}:
        return Wait(1, f"Fly says {machine.state}.")
    if machine.state in RESTING:
        try:
            run.fly.start_machine(machine.id)
        except CapacityError as error:
            return Retry(_no_room(run, error))
        return Done("asked Fly to start it")
    return Done(f"it was {machine.state}")


def _no_room(run: Run, error: CapacityError) -> str:
    return (
        f"The host of its volume has no room now ({error}). It is tried again; "
        f"recovering it from its backup (`town recover {run.town} --from-backup`) would move it "
        "to another host and keep the old volume."
    )


def await_started(run: Run) -> Outcome:
    """Wait until Fly says started; a machine that fell over is started again."""
    machine = find_machine(run)
    if machine is None:
        return lost(run, "Fly has no machine of this town any more.")
    if machine.state == "started":
        return Done()
    if machine.state not in RESTING:
        return Wait(1, f"Fly says {machine.state}.")
    why = machine.event_error or (
        f"exit code {machine.last_exit.exit_code}" if machine.last_exit else "no reason given"
    )
    if (gone := volume_loss(run)) is not None:
        return lost(run, gone)
    try:
        run.fly.start_machine(machine.id)
    except CapacityError as error:
        return Retry(_no_room(run, error))
    return Retry(f"The machine went to {machine.state} ({why}); it was started again.")


def lost(run: Run, reason: str) -> Outcome:
    """Have recovery take over from a flow that wants the town to run."""
    if run.operation.kind in (OperationKind.START, OperationKind.RESTART, OperationKind.PROVISION):
        return HandOver(OperationKind.RECOVER, reason)
    return Fail(reason)


def volume_loss(run: Run) -> str | None:
    """Why the town's volume is provably lost, or None when it exists."""
    if not run.town.volume_id:
        return None
    try:
        volume = run.fly.get_volume(run.town.volume_id)
    except NotFound:
        return f"Fly has no volume {run.town.volume_id} any more (404)."
    if volume.state == "destroyed":
        return f"Fly says that volume {volume.id} is destroyed."
    return None


def stop_machine(run: Run, last_look: Callable[[Run], Outcome] | None = None) -> Outcome:
    """Tell Fly to stop the machine by SIGTERM, so that the sandbox's last sync is in.

    `last_look` may say otherwise, right before Fly is told.
    """
    machine = find_machine(run)
    if machine is None:
        return _nothing_to_stop(run)
    if machine.state in RESTING or machine.state == "stopping":
        return Done(f"it was {machine.state}")
    if last_look is not None and not isinstance(seen := last_look(run), Done):
        return seen
    run.fly.stop_machine(
        machine.id, signal="SIGTERM", timeout_seconds=settings.GASTOWN_STOP_TIMEOUT_SECONDS
    )
    run.remember(stop_asked_at=run.now.isoformat())
    return Done("asked Fly to stop it")


def await_stopped(run: Run) -> Outcome:
    """Wait until Fly says stopped. A 404 is not stopped: the machine is gone."""
    machine = find_machine(run)
    if machine is None:
        return _nothing_to_stop(run)
    if machine.state in RESTING:
        return Done(f"Fly says {machine.state}")
    asked = run.learned.get("stop_asked_at")
    late = asked is not None and age(run, asked) > settings.GASTOWN_STOP_TIMEOUT_SECONDS + 30
    if machine.state == "started" and (asked is None or late):
        run.fly.stop_machine(
            machine.id, signal="SIGTERM", timeout_seconds=settings.GASTOWN_STOP_TIMEOUT_SECONDS
        )
        run.remember(stop_asked_at=run.now.isoformat())
        return Retry("Fly did not stop it; asked again.")
    if late and run.operation.kind == OperationKind.DESTROY:  # it has no deadline that would end it
        return Done(f"Fly says {machine.state}, for too long: it goes as it is")
    if asked is None:
        run.remember(stop_asked_at=run.now.isoformat())
    return Wait(1, f"Fly says {machine.state}.")


def _nothing_to_stop(run: Run) -> Outcome:
    if run.operation.kind == OperationKind.DESTROY:
        return Done("its machine is gone already")
    run.remember(failed_status=Status.ERROR)
    return Fail(NOTHING_TO_STOP)


def age(run: Run, since: str) -> float:
    """Seconds since a remembered ISO time."""
    return (run.now - datetime.fromisoformat(since)).total_seconds()


def remove_machine(run: Run) -> Outcome:
    """Destroy the machine and wait until it is seen gone."""
    machine_id = cast(str, run.learned.get("doomed_machine_id") or run.town.machine_id)
    if not machine_id:
        return Done("there is none")
    try:
        machine = run.fly.get_machine(machine_id)
        if machine.state == "destroyed":
            return Done(f"{machine_id} is gone")
        if machine.state != "destroying":
            run.fly.destroy_machine(machine_id, force=True)
    except NotFound:
        return Done(f"{machine_id} is gone")
    return going(run, f"Machine {machine_id}")


def going(run: Run, what: str) -> Outcome:
    """Wait for what was told to go away. What takes longer than any passing state at Fly is a
    failed try: it is looked at less often, shown, and staff are told in the end."""
    since = run.learned.get("going", {})
    if what not in since:
        run.remember(going={**since, what: run.now.isoformat()})
    elif (waited := age(run, since[what])) > STUCK_SECONDS:
        return Retry(f"{what} has been going away for {duration(waited)}: it is stuck at Fly.")
    return Wait(2, f"{what} is going away.")


def has_arrived_running(run: Run) -> bool:
    """Whether, at the deadline, the town runs all the same: started, and healthy."""
    from towns.flows.healthy import await_healthy  # it needs `lost` from here

    machine = find_machine(run)
    return (
        machine is not None and machine.state == "started" and isinstance(await_healthy(run), Done)
    )


def has_arrived_stopped(run: Run) -> bool:
    """Whether, at the deadline, the machine is stopped all the same. One that is gone is not: the
    next start recovers it."""
    machine = find_machine(run)
    if machine is None:
        run.remember(failed_status=Status.ERROR)
        run.save_operation(message=NOTHING_TO_STOP)
    return machine is not None and machine.state in RESTING
