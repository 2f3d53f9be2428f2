"""Going on with a run: settle what has ended, ask for as many more as its pace allows.

Each call is one short transaction under the run's row lock, and asks for a town together with
noting that it did: however often it is called, by however many, nothing is asked for twice.
"""

import logging
from datetime import datetime

from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q

from towns.actions import REQUESTS, NotAllowed
from towns.bulk_work.plan import counts_of, look_on
from towns.history import Actor
from towns.models import BulkItem, BulkRun, Operation
from towns.models.bulk_run import GOING
from towns.words import OperationKind, OperationState

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
        except Exception:
            log.exception("Bulk run %s could not go on now; it is tried again.", pk)
            left += 1
    return left


@transaction.atomic
def advance(run_id: int, now: datetime) -> bool:
    """Go on with one run; returns whether it still has something to do.

    One that was paused or cancelled begins nothing, and hears what becomes of what is under way.
    """
    run = BulkRun.objects.select_for_update(of=("self",)).select_related("user").get(pk=run_id)
    if run.state == State.PLANNING:
        look_on(run, now)
        return run.state == State.PLANNING
    _settle(run)
    counts = counts_of(run)
    if not run.is_going:
        return bool(counts[Item.ASKED])
    if not _may(run.user, run.kind):
        return _end(run, State.PAUSED, f"{run.actor} may not {run.kind} towns any more.", now)
    if run.state == State.CANARY:
        if counts[Item.FAILED]:
            return _end(run, State.PAUSED, "The canary failed: nothing else was begun.", now)
        tried = counts[Item.DONE] + counts[Item.ASKED]
        if not counts[Item.ASKED] and (tried >= run.canaries or not counts[Item.WAITING]):
            run.state = State.RUNNING
            run.save(update_fields=["state"])
        else:
            _ask(run, run.canaries - tried, now)
            return True
    if counts[Item.FAILED] >= max(1, run.failures_allowed):
        told = f"{counts[Item.FAILED]} towns failed: the rest waits until somebody decides."
        return _end(run, State.PAUSED, told, now)
    if not counts[Item.WAITING] and not counts[Item.ASKED]:
        return _end(run, State.DONE, "", now)
    _ask(run, run.at_once - counts[Item.ASKED], now)
    return True


def _settle(run: BulkRun) -> None:
    """Note what has become of the operations that were asked for."""
    asked = run.items.filter(state=Item.ASKED).exclude(operation__state=OperationState.OPEN)
    settled = []
    for item in asked.select_related("operation"):
        assert item.operation is not None
        if item.operation.kind == run.kind:
            item.state, item.told = _outcome(item.operation)
        else:
            _wait_on(item, item.operation, run.kind)
        settled.append(item)
    BulkItem.objects.bulk_update(settled, ["state", "told", "operation"])


def _outcome(operation: Operation) -> tuple[str, str]:
    if operation.state == OperationState.SUCCEEDED:
        return Item.DONE, ""
    if operation.state == OperationState.SUPERSEDED:
        return Item.SKIPPED, operation.message or "Somebody asked for something else meanwhile."
    return Item.FAILED, operation.message or f"It was {operation.state}."


def _wait_on(item: BulkItem, ended: Operation, kind: str) -> None:
    """What had to end first has ended: what was asked for follows it, or is asked for again."""
    followers = Operation.objects.filter(
        town=item.town_id, kind=kind, created_at__gte=ended.created_at
    )
    item.operation = followers.order_by("-created_at").first()
    item.state = Item.WAITING if item.operation is None else Item.ASKED
    item.told = ""


def _ask(run: BulkRun, room: int, now: datetime) -> None:
    """Ask for up to so many more; who can't have it any more is skipped with the reason."""
    actor = Actor(name=run.actor, user_id=run.user_id)
    reason = f"bulk run {run.pk}: {run.reason}".rstrip(": ")
    for item in run.items.filter(state=Item.WAITING)[: max(0, min(room, ASKED_IN_ONE))]:
        try:
            with transaction.atomic():
                asked = REQUESTS[OperationKind(run.kind)](
                    item.town_id, actor=actor, now=now, reason=reason
                )
        except NotAllowed as refused:
            item.state, item.told = Item.SKIPPED, refused.reason
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("Bulk run %s: asking for town %s", run.pk, item.town_id)
            item.state = Item.FAILED
            item.told = f"Unexpected {type(error).__name__}: see the worker's log."
        else:
            item.state, item.operation, item.told = Item.ASKED, asked.operation, asked.note
        item.save(update_fields=["state", "operation", "told"])


def _end(run: BulkRun, state: str, note: str, now: datetime) -> bool:
    run.state, run.note = state, note
    if state == State.DONE:
        run.finished_at = now
    run.save(update_fields=["state", "note", "finished_at"])
    return run.items.filter(state=Item.ASKED).exists()


def _may(user: User, kind: str) -> bool:
    """Asked anew each time: rights that were taken away meanwhile hold at once."""
    return user.is_active and user.is_staff and user.has_perm(f"towns.{kind}_town")
