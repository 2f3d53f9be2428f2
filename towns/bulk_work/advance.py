"""Going on with a run: settle what has ended, ask for as many more as its pace allows.

Each call is one short transaction under the run's row lock, and asks for a town together with
noting that it did: however often it is called, by however many, nothing is asked for twice.
"""

import logging
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q

from towns.actions import REQUESTS, NotAllowed, Requested
from towns.bulk_work.plan import counts_of, look_on
from towns.history import Actor, lock_town
from towns.logs import about
from towns.models import BulkItem, BulkRun, LifecycleEvent, Operation
from towns.models.bulk_run import GOING
from towns.words import DesiredState, OperationKind, OperationState, Status

State, Item = BulkRun.State, BulkItem.State
ASKED_IN_ONE = 50
"""As many towns are asked for in one transaction, so that no lock is held for long."""
log = logging.getLogger(__name__)


def advance_all(now: datetime) -> int:
    """Go on with all runs that have something to do; returns how many still have.

    One that can't go on now holds up no other, and is tried again.
    """
    asked = BulkItem.objects.filter(run=OuterRef("pk"), state=Item.ASKED)
    busy = BulkRun.objects.filter(Q(state__in=(State.PLANNING, *GOING)) | Exists(asked))
    left = 0
    for pk in list(busy.values_list("pk", flat=True)):
        try:
            left += advance(pk, now)
        except Exception as error:
            log.exception("Bulk run %s could not go on now; it is tried again.", pk)
            what = (
                f"It can't go on since an unexpected {type(error).__name__}: see the worker's log."
            )
            BulkRun.objects.filter(pk=pk, note="").update(note=f"{what} It is tried again.")
            left += 1
    return left


@transaction.atomic
def advance(run_id: int, now: datetime) -> bool:
    """Go on with one run; returns whether it still has something to do.

    One that was paused or cancelled begins nothing, and hears what becomes of what is under way.
    """
    run = BulkRun.objects.select_for_update(of=("self",)).select_related("user").get(pk=run_id)
    if run.note and run.state in (State.PLANNING, *GOING):
        run.note = ""  # what held it up is over, or this is undone with the rest
        run.save(update_fields=["note"])
    if run.state == State.PLANNING:
        look_on(run, now)
        return run.state == State.PLANNING
    _settle(run)
    counts = counts_of(run)
    if not run.is_going:
        return bool(counts[Item.ASKED])
    if not _may(run.user, run.kind):
        told = f"{run.actor} may not {run.kind} towns any more. Somebody who may can go on with it."
        return _end(run, State.PAUSED, told, now)
    room = run.at_once - counts[Item.ASKED]
    if run.state == State.CANARY:
        if counts[Item.FAILED]:
            return _end(run, State.PAUSED, "The canary failed: nothing else was begun.", now)
        tried = counts[Item.DONE] + counts[Item.ASKED]
        if not counts[Item.ASKED] and (tried >= run.canaries or not counts[Item.WAITING]):
            run.state = State.RUNNING
            run.save(update_fields=["state"])
        else:
            _ask(run, min(run.canaries - tried, room), now)
            return True
    if counts[Item.FAILED] >= max(1, run.failures_allowed):
        failed = counts[Item.FAILED]
        told = f"{failed} town{'s'[: failed > 1]} failed: the rest waits until somebody decides."
        return _end(run, State.PAUSED, told, now)
    if not counts[Item.WAITING] and not counts[Item.ASKED]:
        return _end(run, State.DONE, "", now)
    _ask(run, room, now)
    return True


def _settle(run: BulkRun) -> None:
    """Note what has become of the operations that were asked for."""
    asked = run.items.filter(state=Item.ASKED).exclude(operation__state=OperationState.OPEN)
    settled = []
    for item in asked.select_related("operation__successor", "operation__predecessor"):
        ended = item.operation
        assert ended is not None
        if (heir := _heir(ended)) is not None:
            item.operation = heir
        elif _is_ours(ended, run.kind):
            item.state, item.told = _outcome(ended)
        else:
            _wait_on(item, ended, run.kind)
        settled.append(item)
    BulkItem.objects.bulk_update(settled, ["state", "told", "operation"])


def _heir(ended: Operation) -> Operation | None:
    """The operation that does what this one did not: the recovery of a town whose machine is gone,
    or the stop that begins anew where it was called off and asked for at once."""
    heir = ended.successor
    if heir is None or ended.state == OperationState.SUCCEEDED:
        return None
    return heir if heir.kind in (ended.kind, OperationKind.RECOVER) else None


def _is_ours(ended: Operation, kind: str) -> bool:
    """Whether it is what was asked for, or the recovery that this has turned into."""
    before = getattr(ended, "predecessor", None)
    return kind == ended.kind or (before is not None and before.kind == kind)


def _outcome(operation: Operation) -> tuple[str, str]:
    if operation.state == OperationState.SUCCEEDED:
        return Item.DONE, ""
    if operation.state == OperationState.SUPERSEDED or _was_called_off(operation):
        return (
            Item.SKIPPED,
            f"Somebody wanted something else meanwhile. {operation.message}".strip(),
        )
    return Item.FAILED, operation.message or f"It was {operation.state}."


def _was_called_off(operation: Operation) -> bool:
    """Whether it failed for a change of mind, which is nobody's fault."""
    told = LifecycleEvent.objects.filter(town=operation.town_id, operation=operation)
    return told.filter(kind=f"{operation.kind}_called_off").exists()


def _wait_on(item: BulkItem, ended: Operation, kind: str) -> None:
    """What had to end first has ended: what was asked for follows it, or is asked for again."""
    followers = Operation.objects.filter(
        town=item.town_id, kind=kind, created_at__gte=ended.created_at
    )
    item.operation = followers.order_by("-created_at").first()
    item.state = Item.WAITING if item.operation is None else Item.ASKED
    item.told = ""


def _ask(run: BulkRun, room: int, now: datetime) -> None:
    """Ask for up to so many more, until one fails: then it is looked at first how many may."""
    for item in run.items.filter(state=Item.WAITING)[: max(0, min(room, ASKED_IN_ONE))]:
        with about(town=item.town_id):
            _ask_for(run, item, now)
        item.save(update_fields=["state", "operation", "told"])
        if item.state == Item.FAILED:
            return


def _ask_for(run: BulkRun, item: BulkItem, now: datetime) -> None:
    """Ask for one town; who can't have it any more is skipped with the reason."""
    try:
        with transaction.atomic():
            asked = _request(run, item.town_id, now)
    except NotAllowed as refused:
        item.state, item.told = Item.SKIPPED, refused.reason
    except (OperationalError, InterfaceError):
        raise  # it is the database's fault, not the town's
    except Exception as error:
        log.exception("Bulk run %s: asking for town %s", run.pk, item.town_id)
        item.state = Item.FAILED
        item.told = f"Unexpected {type(error).__name__}: see the worker's log."
    else:
        item.state = Item.ASKED if asked.operation.is_open else Item.DONE
        item.operation, item.told = asked.operation, asked.note


def _request(run: BulkRun, town_id: UUID, now: datetime) -> Requested:
    """As a person asks; but it changes nobody's mind who wants the town destroyed."""
    town = lock_town(town_id)
    if town.desired_state == DesiredState.DESTROYED and town.status != Status.DESTROYED:
        raise NotAllowed(f"{town} is to be destroyed: somebody asked for that meanwhile.")
    return REQUESTS[OperationKind(run.kind)](
        town_id,
        actor=Actor(name=run.actor, user_id=run.user_id),
        now=now,
        reason=f"bulk run {run.pk}: {run.reason}".rstrip(": "),
    )


def _end(run: BulkRun, state: str, note: str, now: datetime) -> bool:
    run.state, run.note = state, note
    if state == State.DONE:
        run.finished_at = now
    run.save(update_fields=["state", "note", "finished_at"])
    return run.items.filter(state=Item.ASKED).exists()


def _may(user: User, kind: str) -> bool:
    """Asked anew each time: rights that were taken away meanwhile hold at once."""
    return user.is_active and user.is_staff and user.has_perm(f"towns.{kind}_town")
