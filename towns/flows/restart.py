"""Restart: the machine is stopped and started again, and the town gets healthy.

A machine that is not started is only started. Whether our restart has happened already is told by
the machine's newest start event, so that repeating the step after a crash restarts nothing twice.
"""

from towns.flows.healthy import await_healthy
from towns.flows.machines import (
    RESTING,
    age,
    await_started,
    find_machine,
    has_arrived_running,
    lost,
    start_machine,
)
from towns.flows.outcome import Done, Flow, Outcome, Wait
from towns.flows.run import Run
from towns.flows.start import look_at_machine
from towns.services.fly import Machine
from towns.words import OperationKind

RESTART_TIMEOUT_SECONDS = 60
"""How long `gt down` and the last sync may take before Fly kills the old process."""


def note_last_start(run: Run) -> Outcome:
    """Remember when the machine was last started, before anything is done to it."""
    machine = find_machine(run)
    if machine is None:
        return lost(run, "Fly has no machine of this town any more.")
    run.remember(last_start=_last_start(machine))
    return Done()


def restart_machine(run: Run) -> Outcome:
    """Tell Fly to restart the machine, once."""
    machine = find_machine(run)
    if machine is None:
        return lost(run, "Fly has no machine of this town any more.")
    if machine.state in RESTING:
        return start_machine(run)
    if _last_start(machine) != run.learned["last_start"]:
        return Done("it was restarted")
    if machine.state != "started":
        return Wait(1, f"Fly says {machine.state}.")
    asked = run.learned.get("restart_asked_at")
    if asked is None or age(run, asked) > RESTART_TIMEOUT_SECONDS + 30:
        run.fly.restart_machine(machine.id, timeout_seconds=RESTART_TIMEOUT_SECONDS)
        run.remember(restart_asked_at=run.now.isoformat())
    return Wait(1, "Fly restarts it.")


def _last_start(machine: Machine) -> str:
    return machine.last_start_at.isoformat() if machine.last_start_at else ""


FLOW = Flow(
    kind=OperationKind.RESTART,
    steps=(look_at_machine, note_last_start, restart_machine, await_started, await_healthy),
    deadline="GASTOWN_DEADLINE_RESTARTING_MINUTES",
    arrived=has_arrived_running,
)
