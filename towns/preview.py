"""What a request of `actions` would do to a town, told before anybody asks. Pure.

A test holds it against the requests themselves, for each kind, status and operation under way.
"""

from dataclasses import dataclass
from datetime import datetime

from towns.actions import refusal
from towns.models import Operation, Town
from towns.readable import utc
from towns.words import BESIDE, DesiredState, OperationKind, Status, StopReason


@dataclass(frozen=True, slots=True)
class Preview:
    """Whether the request would be taken, and what would happen, or why nothing would."""

    allowed: bool
    text: str


_BEGINS = {
    OperationKind.START: "It starts.",
    OperationKind.STOP: "It is backed up and stops, and stays stopped until somebody asks.",
    OperationKind.RESTART: "Its machine is restarted; agents at work are interrupted.",
    OperationKind.RECOVER: "What is provably lost of it is made anew; its volume is used if there.",
    OperationKind.BACKUP: "It is backed up now, and goes on running.",
    OperationKind.DESTROY: "It is backed up for the last time; then its machine and its volume go.",
    OperationKind.RESTORE: "It is made anew from its kept backup, and runs.",
    OperationKind.DRILL: "Its newest snapshot is restored beside it, on a throw-away machine.",
}


_ENDS_RUNNING = frozenset({OperationKind.RESTART, OperationKind.RECOVER, OperationKind.RESTORE})
_NAME_TAKEN = Preview(False, "Another living town of its owner has that name.")


def preview(
    kind: OperationKind,
    town: Town,
    operation: Operation | None,
    now: datetime,
    *,
    discard: bool = False,
    name_taken: bool = False,
) -> Preview:
    """What would come of a person's request, with the operation under way as it is.

    `name_taken`: another living town of the owner has the name, which a restore has to know.
    """
    if operation is not None and operation.kind in BESIDE and kind != operation.kind:
        told = preview(kind, town, None, now, discard=discard, name_taken=name_taken)
        note = f" Its {operation.kind} is called off." if told.allowed else ""
        return Preview(told.allowed, told.text + note)
    if operation is not None:
        return _behind(kind, town, operation, discard=discard, name_taken=name_taken)
    if kind == OperationKind.STOP and _is_asleep(town):
        return Preview(True, "It is asleep already; it stays stopped until somebody asks.")
    if kind == OperationKind.RESTORE and town.restore_until and town.restore_until <= now:
        return Preview(False, f"Its backup expired on {utc(town.restore_until)}.")
    if kind == OperationKind.RESTORE and name_taken:
        return _NAME_TAKEN
    why = refusal(kind, town, None)
    if why is not None:
        return Preview(False, why)
    if kind == OperationKind.DESTROY and discard:
        return Preview(True, "Its machine and its volume go, without a last backup.")
    return Preview(True, _BEGINS[kind])


def _is_asleep(town: Town) -> bool:
    return town.status == Status.STOPPED and town.stop_reason == StopReason.IDLE


def _behind(
    kind: OperationKind, town: Town, operation: Operation, *, discard: bool, name_taken: bool
) -> Preview:
    """A request while an operation is under way: it follows, changes nothing, or is refused."""
    under_way = OperationKind(operation.kind)
    follows = Preview(True, f"It follows once the {under_way} under way has ended.")
    refused = Preview(False, refusal(kind, town, operation) or "")
    wants = town.desired_state
    match kind:
        case OperationKind.DESTROY if under_way == OperationKind.DESTROY:
            if discard and not operation.params.get("discard"):
                return Preview(True, "Its destroy goes on without a last backup.")
            if wants != DesiredState.DESTROYED:
                return Preview(True, "Its destroy was called off; it is destroyed after all.")
            return Preview(False, f"{town} is being destroyed already.")
        case OperationKind.DESTROY if under_way == OperationKind.RESTORE:
            return follows
        case OperationKind.DESTROY:
            return Preview(True, f"It is destroyed instead of its {under_way}.")
        case OperationKind.START | OperationKind.RESTORE if under_way == OperationKind.DESTROY:
            if town.destroyed_at is None:
                return Preview(True, "Its destroy is called off.")
            if kind == OperationKind.START:
                return Preview(False, f"{town} is being destroyed. Ask for its restore instead.")
            return _NAME_TAKEN if name_taken else follows
        case OperationKind.START if wants == DesiredState.RUNNING:
            if town.status == Status.RUNNING:
                return Preview(False, f"{town} is running already.")
            return Preview(True, f"It runs once its {under_way} has ended.")
        case OperationKind.START:
            return follows
        case OperationKind.STOP if under_way in (OperationKind.DESTROY, OperationKind.RESTORE):
            return refused
        case OperationKind.STOP if under_way == OperationKind.STOP:
            return Preview(True, "It is stopping already, and stays stopped until somebody asks.")
        case OperationKind.STOP:
            return follows
    if kind == under_way == OperationKind.RECOVER and operation.automatic:
        return Preview(True, "Its recovery goes on at once, whatever holds automation back.")
    if kind == under_way and kind in _ENDS_RUNNING and wants != DesiredState.RUNNING:
        return Preview(True, f"It runs once its {under_way} has ended.")
    if kind == under_way:
        return Preview(True, f"Nothing new: its {kind} is under way already.")
    return refused
