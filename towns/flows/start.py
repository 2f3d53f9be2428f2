"""Start (product.md 1.3): Fly starts the machine, the sandbox gets healthy, the town runs."""

from towns.flows.healthy import await_healthy
from towns.flows.machines import (
    await_started,
    find_machine,
    has_arrived_running,
    lost,
    start_machine,
    volume_loss,
)
from towns.flows.outcome import Done, Flow, Outcome
from towns.flows.run import Run
from towns.words import OperationKind


def look_at_machine(run: Run) -> Outcome:
    """See whether machine and volume are there; provably lost ones are for recovery."""
    machine = find_machine(run)
    if machine is None:
        return lost(run, "Fly has no machine of this town any more.")
    if (gone := volume_loss(run)) is not None:
        return lost(run, gone)
    return Done(f"machine {machine.id} is {machine.state}")


FLOW = Flow(
    kind=OperationKind.START,
    steps=(look_at_machine, start_machine, await_started, await_healthy),
    deadline="GASTOWN_DEADLINE_STARTING_MINUTES",
    arrived=has_arrived_running,
)
