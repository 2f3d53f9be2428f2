"""Going on with a run: settle what has ended, ask for as many more as its pace allows.

Each call is one short transaction under the run's row lock, and asks for a town together with
noting that it did: however often it is called, by however many, nothing is asked for twice.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from towns.actions import REQUESTS, NotAllowed
from towns.bulk_work.plan import counts_of
from towns.history import Actor
from towns.models import BulkItem, BulkRun
from towns.models.bulk_run import GOING
from towns.words import OperationKind, OperationState

State, Item = BulkRun.State, BulkItem.State


def advance_all(now: datetime) -> int:
    """Go on with all runs that are going; returns how many still are."""
    ids = list(BulkRun.objects.filter(state__in=GOING).values_list("pk", flat=True))
    return sum(advance(pk, now) for pk in ids)


@transaction.atomic
def advance(run_id: int, now: datetime) -> bool:
    """Go on with one run; returns whether it is still going."""
    run = BulkRun.objects.select_for_update().get(pk=run_id)
    if not run.is_going:
        return False
    _settle(run)
    counts = counts_of(run)
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
        if item.operation.state == OperationState.SUCCEEDED:
            item.state, item.told = Item.DONE, ""
        else:
            told = item.operation.message or f"It was {item.operation.state}."
            item.state, item.told = Item.FAILED, told
        settled.append(item)
    BulkItem.objects.bulk_update(settled, ["state", "told"])


def _ask(run: BulkRun, room: int, now: datetime) -> None:
    """Ask for up to so many more; who can't have it any more is skipped with the reason."""
    if room <= 0:
        return
    actor = Actor(name=run.actor, user_id=run.user_id)
    reason = f"bulk run {run.pk}: {run.reason}".rstrip(": ")
    for item in run.items.filter(state=Item.WAITING)[:room]:
        try:
            with transaction.atomic():
                asked = REQUESTS[OperationKind(run.kind)](
                    item.town_id, actor=actor, now=now, reason=reason
                )
        except NotAllowed as refused:
            item.state, item.told = Item.SKIPPED, refused.reason
        else:
            item.state, item.operation, item.told = Item.ASKED, asked.operation, asked.note
        item.save(update_fields=["state", "operation", "told"])


def _end(run: BulkRun, state: str, note: str, now: datetime) -> bool:
    run.state, run.note = state, note
    if state == State.DONE:
        run.finished_at = now
    run.save(update_fields=["state", "note", "finished_at"])
    return False


def _may(user: User, kind: str) -> bool:
    """Asked anew each time: rights that were taken away meanwhile hold at once."""
    return user.is_active and user.is_staff and user.has_perm(f"towns.{kind}_town")
