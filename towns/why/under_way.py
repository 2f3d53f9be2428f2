"""What happens next to a town with an operation under way: its step, its deadline, what follows."""

from collections.abc import Iterator
from datetime import datetime

from towns.flows.finish import following, status_after_failure
from towns.flows.registry import flow_of
from towns.flows.wish import Wish
from towns.models import Operation, Town
from towns.readable import duration
from towns.why.answer import Next
from towns.words import TRANSITIONS, DesiredState, OperationKind, Status


def told(operation: Operation) -> Iterator[str]:
    """What is under way, for whom and why."""
    who = f"{operation.actor}{', automatically' if operation.automatic else ''}"
    because = f": {operation.reason}" if operation.reason else ""
    yield f"{operation.kind} is under way, asked for by {who}{because}"
    tries = f", failed {operation.attempt}x" if operation.attempt else ""
    message = f". {operation.message}" if operation.message else ""
    yield f"it is at “{operation.step.replace('_', ' ')}”{tries}{message}"
    if operation.undoing:
        yield f"it failed and is cleaned up: {operation.undoing}"
    if (wish := Wish.of(operation)) is not None:
        asked = f": {wish.reason}" if wish.reason else ""
        yield f"{wish.actor.name} wants something else next{asked}"


def steps(operation: Operation, now: datetime) -> Iterator[Next]:
    """The next step, or the next try of this one."""
    if operation.lease_until is not None and operation.lease_until > now:
        yield Next("step", "A worker is at it now.")
        yield Next(
            "takeover", "If that worker has died, another takes over.", operation.lease_until
        )
        return
    what = "The next try" if operation.attempt else "Its step is looked at again"
    if operation.due_at <= now:
        yield Next("retry", f"{what}, as soon as a worker is free.", operation.due_at)
    else:
        yield Next("retry", f"{what}.", operation.due_at)


def deadline(operation: Operation) -> Iterator[Next]:
    """What happens when its time is over."""
    flow, kind = flow_of(operation.kind), OperationKind(operation.kind)
    if operation.undoing:
        return
    if flow.held_at is not None and operation.step == flow.held_at.__name__:
        yield Next("deadline", "Its time begins when recovery may go on.")
        return
    failed = status_after_failure(kind, operation, operation.town)
    if operation.deadline_at is not None:
        adopt = ""
        if flow.arrived is not None:
            adopt = f"Fly is asked, and if it is done all the same it is {_then(operation)}; else "
        undo = "is cleaned up and " if flow.undo else ""
        text = f"{adopt}it {undo}has failed: {failed}, with an alert."
        yield Next("deadline", text[0].upper() + text[1:], operation.deadline_at)
        return
    pauses = ", ".join(duration(seconds) for seconds in flow.backoff)
    alert = f"; staff are told after {flow.alert_after}" if flow.alert_after else ""
    yield Next("deadline", f"It has none: after failed tries it waits {pauses}{alert}.")


def afterwards(town: Town, operation: Operation) -> Iterator[Next]:
    """What it becomes, and what follows from what is wanted."""
    if town.desired_state == DesiredState.DESTROYED and operation.kind not in (
        OperationKind.DESTROY,
        OperationKind.RESTORE,
    ):
        yield Next("supersede", "It is destroyed instead, at the next step.")
        return
    called_off = town.desired_state != DesiredState.DESTROYED and town.destroyed_at is None
    if operation.kind == OperationKind.DESTROY and called_off:
        yield Next("call_off", "It is called off, and nothing is destroyed.")
        return
    then = _then(operation)
    yield Next("succeed", f"When it has succeeded, the town is {then}.")
    kind = following(Status(then), DesiredState(town.desired_state))
    if kind is not None:
        yield Next("follow", f"Then follows {kind}: it is wanted {town.desired_state}.")


def _then(operation: Operation) -> str:
    then = TRANSITIONS[OperationKind(operation.kind)].then
    return then.value if then is not None else operation.status_before
