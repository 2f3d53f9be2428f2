"""Backup: a running town is asked for a snapshot, and R2 shows it."""

from towns.flows.outcome import Fail, Flow, Outcome
from towns.flows.run import Run
from towns.flows.snapshots import await_snapshot, note_pointer, request_sync
from towns.words import OperationKind


def on_sync_failed(run: Run, why: str) -> Outcome:
    """A backup that didn't come is this flow's failure."""
    return Fail(why)


FLOW = Flow(
    kind=OperationKind.BACKUP,
    steps=(note_pointer, request_sync, await_snapshot),
    deadline="GASTOWN_DEADLINE_BACKUP_MINUTES",
)
