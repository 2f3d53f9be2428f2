"""What people decide about a run: begin, pause, go on, cancel. Each is one conditional change, so
that two who press at once do it once.

Who begins a run or goes on with it answers for it: it is done in their name, by their rights.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from towns.bulk_work.plan import counts_of
from towns.bulk_work.working import call_worker
from towns.history import Actor
from towns.models import BulkItem, BulkRun
from towns.models.bulk_run import GOING

State, Item = BulkRun.State, BulkItem.State
MORE_FAILURES = 3
"""So many more may fail after somebody went on."""


def begin(
    run_id: int,
    *,
    user: User,
    reason: str,
    at_once: int,
    canaries: int,
    failures_allowed: int,
    now: datetime,
) -> bool:
    """Begin a previewed run; False if somebody has begun or cancelled it already."""
    fields = {
        "state": State.CANARY if canaries else State.RUNNING,
        "reason": reason,
        "at_once": at_once,
        "canaries": canaries,
        "failures_allowed": failures_allowed,
        "started_at": now,
    }
    return _change(run_id, (State.PREVIEWED,), **fields, **_by(user))


@transaction.atomic
def go_on(run_id: int, *, user: User, more_failures: int = MORE_FAILURES) -> bool:
    """Go on with a paused run; as many more may fail until it is paused again.

    A canary that wasn't over goes on as one. One that failed is over: whoever goes on has seen it.
    """
    run = BulkRun.objects.select_for_update().filter(pk=run_id).first()
    if run is None:
        return False
    counts = counts_of(run)
    canary = not counts[Item.FAILED] and counts[Item.DONE] < run.canaries
    fields = {
        "state": State.CANARY if canary else State.RUNNING,
        "note": "",
        "failures_allowed": counts[Item.FAILED] + more_failures,
    }
    return _change(run_id, (State.PAUSED,), **fields, **_by(user))


def pause(run_id: int, *, actor: str) -> bool:
    """Begin no more; what is under way goes on."""
    return _change(run_id, GOING, state=State.PAUSED, note=f"{actor} paused it.")


def cancel(run_id: int, *, actor: str, now: datetime) -> bool:
    """Begin no more, for good; what is under way goes on."""
    fields = {"state": State.CANCELLED, "note": f"{actor} cancelled it.", "finished_at": now}
    return _change(run_id, (State.PLANNING, State.PREVIEWED, State.PAUSED, *GOING), **fields)


def _by(user: User) -> dict[str, object]:
    return {"user": user, "actor": Actor.person(user).name}


def _change(run_id: int, states: tuple[str, ...], **fields: object) -> bool:
    with transaction.atomic():
        mine = BulkRun.objects.filter(pk=run_id, state__in=states)
        if mine.update(**fields) != 1:
            return False
        if fields["state"] in GOING:
            transaction.on_commit(call_worker, robust=True)
        return True
